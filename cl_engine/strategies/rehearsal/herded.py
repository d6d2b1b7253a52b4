"""Herded exemplars in one shuffled set with the samples: the rehearsal of the class-incremental papers."""

from __future__ import annotations

from typing_extensions import Unpack

from cl_engine.memory.codecs.codec import CodecOption
from cl_engine.strategies.rehearsal.replay import QuotaOption, Replay, SlotOptions


class HerdedReplay(Replay):
    """Replay of herded exemplars, in one shuffled set with the samples; quotas as in the papers by default."""

    def __init__(
        self, *, quota: QuotaOption = "papers", codec: CodecOption = "raw", **options: Unpack[SlotOptions]
    ) -> None:
        super().__init__(selection="herding", quota=quota, codec=codec, mix="joint", **options)
