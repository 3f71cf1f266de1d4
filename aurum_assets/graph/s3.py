"""The archive on S3, as Dagster shows it: over dagster-aws' ``S3Resource``.

Imported only where the archive is there: the libraries of AWS take a quarter of a second.
"""

import dagster as dg
from pydantic import Field

from aurum_assets.graph.resources import opened_archive
from aurum_assets.resources.archive import Archive, ArchiveSettings
from aurum_assets.resources.bounded_s3 import BoundedS3Resource
from aurum_assets.resources.home import Home


class S3Archive(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The raw archive, on S3: every answer, byte for byte, for ever.

    Credentials come from where AWS tools look: a profile, variables or a role.
    """

    place: str = Field(description="s3://bucket/prefix (AURUM_ARCHIVE, or S3_BUCKET).")
    s3: BoundedS3Resource

    def opened(self, home: Home) -> Archive:
        """Open the ``Archive`` that these settings describe."""
        s3 = self.s3
        settings = ArchiveSettings(
            self.place,
            s3.endpoint_url or "",
            s3.region_name or "",
            s3.profile_name or "",
            (s3.connect_timeout, s3.read_timeout, s3.max_attempts),
        )
        return opened_archive(settings, home.root / "archive")
