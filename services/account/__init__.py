"""Members: who they are, and the apps and tokens that act for them.

Owns `accounts`, `apps` and `tokens`; publishes nothing; calls nobody.
"""
