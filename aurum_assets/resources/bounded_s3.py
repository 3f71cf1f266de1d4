"""dagster-aws' ``S3Resource`` with bounds; it is imported where the first S3 client is made."""

from typing import Any

import boto3
from botocore.config import Config
from dagster_aws.s3 import S3Resource
from pydantic import Field

from aurum_assets.resources.archive import CONNECT_SECONDS, READ_SECONDS, TRIES


class BoundedS3Resource(S3Resource):
    """The client of S3: dagster-aws' S3Resource, with bounds on how long it waits.

    By itself it waits a minute, five times over.
    """

    connect_timeout: float = Field(default=CONNECT_SECONDS, description="In seconds.")
    read_timeout: float = Field(default=READ_SECONDS, description="Of silence, in seconds.")
    max_attempts: int = Field(default=TRIES, description="How often a request is tried.")

    def get_client(self) -> Any:  # noqa: ANN401  as S3Resource has it
        """A client of boto3."""
        config = Config(
            connect_timeout=self.connect_timeout,
            read_timeout=self.read_timeout,
            retries={"mode": "standard", "total_max_attempts": self.max_attempts},
        )
        return boto3.Session(profile_name=self.profile_name).client(
            "s3", region_name=self.region_name, endpoint_url=self.endpoint_url, config=config
        )
