"""The plugin of dbt-duckdb by which models read the lake and write to it.

dbt makes it where a profile names this module. Within ``aurum marts`` it works on the order that is
under way: sources pruned to the days that are built, models stored in their tables. In a dbt
project of somebody else it reads all days of the lake of AURUM_HOME, and stores nothing.
"""

from typing import TYPE_CHECKING, Any

import polars as pl
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.adapters.duckdb.utils import SourceConfig, TargetConfig

from aurum_assets.marts.choices import load
from aurum_assets.marts.order import computed, current
from aurum_assets.marts.sources import LISTED, SOURCES, listed
from aurum_assets.marts.tables import MARTS
from aurum_assets.model.errors import ConfigError
from aurum_assets.operators import DATASETS
from aurum_assets.resources.arrow import rows_of
from aurum_assets.resources.environment import PROJECT
from aurum_assets.resources.settings import open_resources

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds


class Plugin(BasePlugin):
    """Loads sources from the lake as Arrow; stores external models in the marts."""

    def default_materialization(self) -> str:
        """A view: a source is scanned where it is used, only the columns and rows of the query."""
        return "view"

    def configure_cursor(self, cursor: Any) -> None:  # noqa: ANN401  a connection of DuckDB
        """Set the days that are built, ``first_day`` and ``last_day``."""
        order = current()
        if order is not None:
            for name, day in (("first_day", min(order.days)), ("last_day", max(order.days))):
                cursor.execute(f"SET VARIABLE {name} = DATE '{day}'")

    def load(self, source_config: SourceConfig) -> "pa.Table | ds.Dataset":
        """The rows of a source; none of a table that holds nothing.

        Raises ``ConfigError`` for a table that there is not.
        """
        identifier = f"{source_config.schema}.{source_config.identifier}"
        ours = (table for mart in MARTS for table in (mart, mart.history))
        known = {**SOURCES, **{table.identifier: table for table in ours}}
        of_calendar = identifier.startswith("calendar.")
        if identifier not in known and not of_calendar:
            msg = f'{identifier} is no table of the lake; `aurum sql "show tables"` lists them'
            raise ConfigError(msg)
        order = current()
        if order is not None:
            return order.rows(identifier)
        resources = open_resources(DATASETS, needs="lake")
        if of_calendar:
            days = [day for d in DATASETS for day in resources.lake.days(d.table)]
            choices = load(resources.config_folder, PROJECT / "config")
            today = resources.now().date()
            return computed(identifier, choices, min([*days, today]), max([*days, today]))
        if identifier in LISTED:
            return listed(resources.lake, resources.config_folder, identifier).to_arrow()
        return rows_of(resources.lake, known[identifier])[0]

    def store(self, target_config: TargetConfig) -> None:
        """Store what a model gave in its table.

        Raises ``ConfigError`` outside of ``aurum marts``.
        """
        order = current()
        if order is None:
            msg = "models of the marts are stored by `aurum marts` alone"
            raise ConfigError(msg)
        location: Any = target_config.location
        rows = pl.read_parquet(location.path)
        held = pl.col("operating_day").is_not_null()  # dbt-duckdb writes no file without a row
        order.store(str(target_config.relation.identifier), rows.filter(held))
