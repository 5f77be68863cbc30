"""What Kodama does per second, each figure beside what PostgreSQL alone does on the same machine in the same run."""
