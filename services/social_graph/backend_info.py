"""What networkx learns about our backend when it is imported: plain data, so that this costs nothing and imports nothing."""

from typing import Any


def get_info() -> dict[str, Any]:
    """Return the description that the entry point networkx.backend_info asks for."""
    return {
        "backend_name": "kodama",
        "project": "kodama",
        "short_summary": "Friend graphs as compressed sparse rows, with a compiled kernel for suggestions.",
        "functions": {
            "suggest": {},
            "resource_allocation_index": {},
            "adamic_adar_index": {},
            "jaccard_coefficient": {},
            "preferential_attachment": {},
        },
    }
