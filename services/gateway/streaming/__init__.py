"""Live streams: what happens on a member's home timeline and among their notifications, as it happens.

Workers' hints say where to look (`hints`), a member's watch looks (`watch`), asks the owners what the member may see now and renders
it (`source`), and lays it into the queues of the member's streams (`stream`), from which connections send it (`server_sent`,
`web_socket`). `hub` holds all of them and keeps verifying their tokens.
"""
