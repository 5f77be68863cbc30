"""Who is a friend of whom, who asked, who blocks, and who might know each other.

Owns `friendships`, `friend_requests`, `blocks`, `mutes`, `members`, `suggestions`, `dismissals` and `claims`; publishes
`friendship.formed`, `friendship.ended`, `friendships.imported` and `suggestions.requested`; calls account to learn who exists.
Its worker computes suggestions with networkx.
"""
