"""Home timelines, an index over what others own and exact at every read; notifications; reading positions.

Owns `entries`, `homes`, `notifications` and `markers`; publishes `home.activated`, and hints for open streams; calls status and blog
for entries and who may see them, social_graph for friends and how members stand, and the ledgers of all three for what is not
delivered yet. Its Celery workers do the fan-out.
"""
