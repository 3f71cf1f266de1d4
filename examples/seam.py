"""The seam of MISO and PJM on the newest day that is held: every CTS forecast of PJM's price, and
what happened on both sides, as a picture in ``seam.svg``.

A script, and a notebook for editors that know cells (``# %%``: VS Code, PyCharm, Spyder; Jupyter by
jupytext). ``python examples/seam.py`` reads the home in AURUM_HOME; ``make demo`` fills one.
"""

# %%
import json
from pathlib import Path

import vl_convert

from aurum_assets import open_lake

# %% Every forecast of the day, beside the prices at either side's end of the interface
rows = open_lake().sql("""
    with newest as (select max(operating_day) as operating_day from miso_cts)
    select 'CTS forecast' as series, operating_day, interval_start, published_at, lmp
    from miso_cts join newest using (operating_day)
    union all by name
    select 'MISO' as series, operating_day, interval_start, lmp
    from miso_expost_lmp join newest using (operating_day) where location = 'PJMC'
    union all by name
    select 'PJM' as series, operating_day, interval_start, lmp  -- none without a key of PJM's
    from pjm_rt_lmp join newest using (operating_day) where location_id = '40523629'
    qualify row_number() over (partition by interval_start order by finality) = 1
""")
day = rows["operating_day"].max()

# %% A thin line for each publication, a thick one for each price
hours = {"scale": {"type": "utc"}, "axis": {"format": "%H:%M"}, "title": f"{day}, UTC"}
axes = {
    "x": {"field": "interval_start", "type": "temporal", **hours},
    "y": {"field": "lmp", "type": "quantitative", "title": "USD/MWh", "scale": {"zero": False}},
    "color": {"field": "series", "title": None, "legend": {"symbolOpacity": 1}},
}
thin = {"mark": {"type": "line", "opacity": 0.3}, "encoding": {"detail": {"field": "published_at"}}}
thick = {"mark": {"type": "line", "strokeWidth": 2.5}}
forecast = "datum.series == 'CTS forecast'"
layers = [
    {"transform": [{"filter": forecast}], **thin},
    {"transform": [{"filter": f"!({forecast})"}], **thick},
]
values = {"values": json.loads(rows.write_json())}
chart = {"width": 900, "height": 360, "data": values, "encoding": axes, "layer": layers}
Path("seam.svg").write_text(vl_convert.vegalite_to_svg(chart, allowed_base_urls=[]))
print(f"{len(rows):,} prices of {day} in seam.svg")
