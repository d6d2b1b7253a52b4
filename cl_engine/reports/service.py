"""What a retrieval service cost and gave, in two lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cl_engine.reports.text import percent, size


def service_text(found: Mapping[str, Any]) -> str:
    """Return what a result's ``service`` says, in short."""
    embedded = f"{found['re_embedded'] + found['twice']:,} images embedded anew"
    flops = f"{found['renewal_flops'] / 1e9:,.3g} GFLOP"
    books = max(found.get("codebook_bytes", [0]))
    coded = f" (codebooks {size(books)})" if books else ""
    images = f", images kept {size(found['image_bytes'])}" if found["image_bytes"] else ""
    return (
        f"service ({found['policy']}): accuracy over time {percent(found['mean_accuracy'])}, "
        f"{percent(found['mean_accuracy_if_renewed_at_once'])} if renewed at once\n"
        f"{embedded} and {found['mapped']:,} vectors mapped ({flops}, {found['busy']:,.0f} s); "
        f"vectors at most {size(found['max_vector_bytes'])}{coded}{images}"
    )
