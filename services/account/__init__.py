"""Members: who they are, and the apps and tokens that act for them.

Owns `accounts`, `apps`, `tokens` and `claims`; publishes nothing; calls nobody.
"""
