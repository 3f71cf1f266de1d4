"""Offers: documented feeds that an operator's live server was found not to have.

Config lists the dialects that are live. A feed of another dialect is asked for all the same, since
another server may have it; a 404 means that it is not offered, which is remembered for a week: its
gaps are not repaired and it is never late. Losing that memory costs a request.
"""

from aurum_assets.model.dataset import Dataset, Endpoint, Feed
from aurum_assets.resources.composition import Resources

_REMEMBERED = 7 * 86_400.0


def not_offered(dataset: Dataset, feed: Feed, endpoint: Endpoint | None = None) -> str:
    """The message for ``endpoint``, by default the first of ``feed``."""
    path = (endpoint or feed.endpoints[0]).path
    return (
        f"not offered: {dataset.operator.title} has no {path} (404), from which feed {feed.name} "
        f"of {dataset.key} would come; it is only documented"
    )


def answered_otherwise(dataset: Dataset, feed: Feed, endpoint: Endpoint, dialect: str) -> str:
    """The message for a server that ignores a parameter or path that is only documented."""
    return (
        f"not offered: {dataset.operator.title} answers {endpoint.path} with its {dialect} file of "
        f"today, so feed {feed.name} of {dataset.key} has nothing; it is only documented"
    )


def is_known_not_offered(resources: Resources, dataset: Dataset, feed: Feed) -> bool:
    """Whether the operator's server was found not to have ``feed``."""
    if not resources.config(dataset).is_documented_only(feed):
        return False
    return resources.state.get(_key(dataset, feed)) is not None


def remember_not_offered(resources: Resources, dataset: Dataset, feed: Feed) -> None:
    """Remember for a week that the operator's server does not have ``feed``."""
    resources.state.set(_key(dataset, feed), resources.now().isoformat(), _REMEMBERED)


def forget_not_offered(resources: Resources, dataset: Dataset, feed: Feed) -> None:
    """Forget that: the operator's server has ``feed``."""
    resources.state.delete(_key(dataset, feed))


def _key(dataset: Dataset, feed: Feed) -> str:
    return f"not-offered:{dataset.key}:{feed.name}"
