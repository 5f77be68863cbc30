"""Real friendship graphs: Reed98 where it lies beside the checkout, else one that ships with networkx."""

from pathlib import Path

import networkx as nx

REED98 = Path(__file__).parents[3] / "shared" / "data" / "fb_reed98.txt.gz"


def real_graph(folder: Path) -> Path:
    """Return an edge list: Facebook100's Reed98 (962 members, 18,812 friendships), or the characters of Les Misérables (77, 254)."""
    if REED98.is_file():
        return REED98
    graph = nx.convert_node_labels_to_integers(nx.les_miserables_graph())
    path = folder / "les_miserables.txt"
    path.write_text("".join(f"{left}\t{right}\n" for left, right in graph.edges))
    return path
