"""Writes five lines, as a function would."""

import time

from driver import Driver, tell

STREAM = {"logGroupName": "/aws/lambda/agent", "logStreamName": "one"}

logs = Driver("logs")
logs("CreateLogGroup", logGroupName="/aws/lambda/agent")
logs("CreateLogStream", **STREAM)
now = int(time.time() * 1000)
logs("PutLogEvents", logEvents=[{"timestamp": now + number, "message": f"line {number}"} for number in range(5)], **STREAM)
tell(logs.answers)
