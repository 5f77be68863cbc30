"""Home timelines: an index over what others own, exact at every read.

Owns `entries` and `homes`; publishes nothing; calls status and blog for entries and who may see them, social_graph for friends, and
the ledgers of all three for what is not delivered yet. Its Celery workers do the fan-out.
"""
