"""MISO, the Midcontinent operator: EST (UTC-5) all year, without daylight saving.

Source: MISO's public API. It asks for at most one request a minute to the live display.
"""

from aurum_assets.model.dataset import Operator

MISO = Operator(
    name="miso",
    title="Midcontinent ISO",
    zone="Etc/GMT+5",
    registration="https://www.misoenergy.org",
)
