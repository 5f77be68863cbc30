"""Fetching what the next members need while one is computed: in a large network most rows are not in the processor's caches.

A pass over friends' rows waits for memory several times per friend, one time after the other. What is fetched ahead arrives meanwhile.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np import arrayobj

from services.social_graph.suggestions.compiling import compiled

LINE_BYTES = 64
MOST_ENTRIES = 1024
"""Of one row: 4 kB. Processors see by themselves how longer ones go on."""
READ, KEEP, DATA = 0, 3, 1
"""What llvm.prefetch is told: that it is read, that it is looked at more than once, that it is no code."""


def _fetch(_context: Any, array: Any, _place: Any) -> Any:
    """Tell numba the type of `fetch(array, place)`, and how it is made."""
    make_array: Any = arrayobj.make_array

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        data = make_array(array)(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), cgutils.voidptr_t)
        word = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, word, word, word])
        function = builder.module.declare_intrinsic("llvm.prefetch", [pointer.type], kind)
        builder.call(function, [pointer, word(READ), word(KEEP), word(DATA)])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


fetch: Any = intrinsic(_fetch)
"""fetch(array, place) has an element brought near, without waiting for it. Nothing is read: a place that is not there does no harm."""


@compiled
def look_ahead(indptr: Any, indices: Any, degrees: Any, members: Any, i: Any) -> None:
    """Have the rows of the next member's friends fetched, and of the one after the next where the friends' rows begin."""
    step = LINE_BYTES // indices.itemsize
    if i + 2 < len(members):
        u = members[i + 2]
        for p in range(indptr[u], indptr[u + 1]):
            fetch(indptr, np.int64(indices[p]))
            fetch(degrees, np.int64(indices[p]))
    if i + 1 < len(members):
        u = members[i + 1]
        for p in range(indptr[u], indptr[u + 1]):
            w = indices[p]
            start = indptr[w]
            stop = min(indptr[w + 1], start + MOST_ENTRIES)
            for q in range(start, stop, step):
                fetch(indices, q)
            fetch(indices, stop - 1)
