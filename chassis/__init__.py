"""The shared ground every service stands on. Knows no service."""
