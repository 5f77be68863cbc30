"""Who is a friend of whom, who asked, who blocks, and who might know each other.

Owns `friendships`, `friend_requests`, `blocks`, `mutes`, `members`, `claims`, `dismissals`, and of suggestions `generations`,
`suggestions`, `refreshed_suggestions`, `shown_suggestions` and `suggestion_outcomes`; publishes `friendship.*`, `friend_request.*`,
`friendships.imported` and `suggestions.*`; calls account to learn who exists. Its workers compute suggestions with networkx and numba,
from snapshots in files.
"""
