"""The folder `cases`, natively; `rerate plugin test` compares the answers with the sandbox's."""

from rerate.golden import golden
from rule import {{Type}}

GoldenCases = golden({{Type}})
