"""What all scripts share: a client of the server that the command line names, and answers as JSON."""

import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


class Driver:
    """Calls operations of one AWS service, and keeps what was answered."""

    def __init__(self, service):
        self.answers = []
        self.client = boto3.client(
            service,
            endpoint_url=sys.argv[1],
            region_name="eu-west-1",
            aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
            aws_secret_access_key="none",
            config=Config(retries={"total_max_attempts": 1}),
        )

    def __call__(self, operation, **members):
        """Calls an operation (`CreateService`) and gives the answer, or of an error its code and message."""
        try:
            answer = self.client._make_api_call(operation, members)
            del answer["ResponseMetadata"]
        except ClientError as refusal:
            error = refusal.response["Error"]
            answer = {"error": error["Code"], "message": error["Message"]}
        self.answers.append([operation, answer])
        return answer


def tell(value):
    """Prints what the story compares; times and the like as texts."""
    json.dump(value, sys.stdout, default=lambda other: other.isoformat() if hasattr(other, "isoformat") else str(other))
