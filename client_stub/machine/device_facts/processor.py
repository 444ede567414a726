"""The processor id that Windows reports (``BFEBFBFF00090672``), made from what other systems report about the CPU.

Pure. It is CPUID leaf 1: EDX (features) and EAX (family, model, stepping) as sixteen hex digits. It says which kind of
CPU it is, not which one: processors have had no serial number since the Pentium III.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

# The names that Linux gives the bits of EDX, from bit 0; "" is a bit that is reserved.
_FEATURES = (
    *("fpu", "vme", "de", "pse", "tsc", "msr", "pae", "mce", "cx8", "apic", "", "sep", "mtrr", "pge", "mca", "cmov"),
    *(
        "pat",
        "pse36",
        "pn",
        "clflush",
        "",
        "dts",
        "acpi",
        "mmx",
        "fxsr",
        "sse",
        "sse2",
        "ss",
        "ht",
        "tm",
        "ia64",
        "pbe",
    ),
)
_EXTENDED_FAMILY = 0xF


def processor_id(signature: int, features: int) -> str:
    """Join EAX (``signature``) and EDX (``features``) as Windows does."""
    return f"{features & 0xFFFFFFFF:08X}{signature & 0xFFFFFFFF:08X}"


def from_cpuinfo(text: str) -> str:
    """Read the first processor of ``/proc/cpuinfo``; empty where it is none of the x86 family or reports too little."""
    facts = _first_block(text)
    try:
        family, model, stepping = (int(facts[name]) for name in ("cpu family", "model", "stepping"))
    except (KeyError, ValueError):  # ARM and others; "stepping: unknown" on very old ones
        return ""
    return processor_id(signature(family, model, stepping), _features(facts.get("flags", "").split()))


def signature(family: int, model: int, stepping: int) -> int:
    """Pack family, model and stepping as they are shown to people back into EAX.

    Families above 15 are kept as 15, and the rest in a field of its own, like the model's upper half.
    """
    base_family = min(family, _EXTENDED_FAMILY)
    extended_family = family - base_family
    return extended_family << 20 | model >> 4 << 16 | base_family << 8 | (model & 0xF) << 4 | stepping & 0xF


def _first_block(text: str) -> Mapping[str, str]:
    lines = text.strip().split("\n\n", 1)[0].splitlines()
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _features(names: Iterable[str]) -> int:
    known = set(names) - {""}
    return sum(1 << bit for bit, name in enumerate(_FEATURES) if name in known)
