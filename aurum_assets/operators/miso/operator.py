"""MISO, the Midcontinent operator: EST (UTC-5) all year, without daylight saving.

Source: MISO's public API. It asks for at most one request a minute to the live display.
"""

from aurum_assets.model.operator import Limit, Operator

FIVE_MINUTE_MARK = r"^([01]\d|2[0-3]):[0-5][05]$"

MISO = Operator(
    name="miso",
    title="Midcontinent ISO",
    zone="Etc/GMT+5",
    base_url="https://public-api.misoenergy.org/api",
    limits=(Limit(50, 60),),
    endpoint_limits={
        "cts_live": (Limit(1, 60),),
        "lmp_consolidated": (Limit(1, 60),),
        "total_load": (Limit(1, 60),),
        "fuel_mix": (Limit(1, 60),),
        "fuel_mix_today": (Limit(1, 60),),
        "wind_solar": (Limit(1, 60),),
        "expost_current": (Limit(1, 60),),
        "expost_rolling": (Limit(1, 60),),
        "expost_previous": (Limit(1, 60),),
        "ex_ante_lmp": (Limit(1, 60),),
        "nsi_five_minute": (Limit(1, 60),),
        "binding_constraints": (Limit(1, 60),),
        "ancillary_mcp": (Limit(1, 60),),
    },
    registration="https://www.misoenergy.org",
    about=(
        "EST (UTC-5) all year. Without a query the live file of the day so far; with one the "
        "documented answer. MISO asks for at most one request a minute to the former."
    ),
    parameters={
        "interval": {"pattern": FIVE_MINUTE_MARK, "examples": ["09:05"]},
        "node": {"pattern": r"^[A-Za-z0-9_.-]+$", "examples": ["MISO.PJM.INTERFACE1"]},
    },
)
