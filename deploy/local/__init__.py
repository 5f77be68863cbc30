"""A whole network on one machine: private PostgreSQL and broker, every process under a supervisor.

Reading order: `errors`, `command`, `ports`, `processes`, `state`; then the servers: `postgres`, `apt`,
`rabbitmq`, `broker`; then the network as a whole: `supervisor`, `network`, `up`.
"""
