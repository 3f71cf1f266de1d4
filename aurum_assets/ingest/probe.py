"""Probe: how fresh an operator says that a feed is, for one small request.

What is made of that belongs to who asks.
"""

import datetime as dt

from aurum_assets.model.dataset import Dataset, Endpoint, Feed
from aurum_assets.model.errors import ConfigError
from aurum_assets.resources.settings import Home


def newest_published(home: Home, dataset: Dataset, feed: Feed) -> dt.datetime:
    """The start (UTC) of the newest interval that the operator has published for ``feed``.

    Asks once and waits for nothing. Raises ``ConfigError`` where config names no probe,
    ``SourceError`` where no answer comes, ``MalformedPayload`` where it does not say, and plain
    ``AurumError`` where the limits leave no room at the moment.
    """
    read = dataset.source.newest_said
    if feed.probe is None or read is None:
        msg = f"{dataset.key}: feed {feed.name} has no probe in config, so nobody says what is out"
        raise ConfigError(msg)
    place = Endpoint(f"{dataset.key}_info", feed.probe.path, dataset.dialects[0].name)
    asked = Feed("probe", "now", "backfill", (place,))
    with home.api(dataset.source, hasty=True) as api:
        return read(api.fetch(dataset.key, asked).body)
