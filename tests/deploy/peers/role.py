"""Tells what a role is."""

from driver import Driver, tell

ROLE = {"RoleName": "dockless-agent"}

iam = Driver("iam")
role = iam("GetRole", **ROLE)["Role"]
inline = iam("ListRolePolicies", **ROLE)["PolicyNames"]
tell({
    "trust": role["AssumeRolePolicyDocument"],
    "tags": {tag["Key"]: tag["Value"] for tag in role["Tags"]},
    "attached": [policy["PolicyArn"] for policy in iam("ListAttachedRolePolicies", **ROLE)["AttachedPolicies"]],
    "inline": {name: iam("GetRolePolicy", PolicyName=name, **ROLE)["PolicyDocument"] for name in inline},
})
