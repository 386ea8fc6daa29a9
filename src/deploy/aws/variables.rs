//! How variables differ, without showing what is hidden.

use std::collections::BTreeMap;

use crate::deploy::{DeployPlan, Variable};

/// Notes how the variables that are there differ from those that should be; says whether they do. Values
/// of what is hidden, or is there and no longer wanted, are compared and never shown.
pub(in crate::deploy) fn plan_variables(
    there: &BTreeMap<String, String>,
    wanted: &BTreeMap<String, Variable>,
    plan: &mut DeployPlan,
) -> bool {
    let mut is_different = false;
    for (name, value) in wanted {
        let before = there.get(name);
        if before.is_some_and(|before| before == value.expose()) {
            continue;
        }
        is_different = true;
        let shown = |text: &str| match value {
            Variable::Plain(_) => text.to_owned(),
            Variable::Hidden(_) => "(hidden)".to_owned(),
        };
        plan.changes.push(crate::deploy::Change {
            what: format!("env.{name}"),
            before: before.map(|before| shown(before)),
            after: Some(value.shown().to_owned()),
        });
    }
    for name in there.keys().filter(|name| !wanted.contains_key(*name)) {
        is_different = true;
        plan.change(format!("env.{name}"), Some("(hidden)"), None::<String>);
    }
    is_different
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Secret;

    #[test]
    fn shows_what_differs_and_hides_what_is_hidden() {
        let there = [("A", "1"), ("B", "old"), ("C", "canary-1"), ("D", "canary-2"), ("F", "same")];
        let there = there.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let hidden = |text: &str| Variable::Hidden(Secret::new(text));
        let plain = |text: &str| Variable::Plain(text.to_owned());
        let wanted = [
            ("A", plain("1")),
            ("B", plain("new")),
            ("C", hidden("canary-3")),
            ("E", plain("added")),
            ("F", hidden("same")),
        ];
        let wanted = wanted.map(|(name, value)| (name.to_owned(), value)).into();
        let mut plan = DeployPlan::default();
        assert!(plan_variables(&there, &wanted, &mut plan));
        let changes = plan.changes.iter();
        let changes = changes
            .map(|change| (&*change.what, change.before.as_deref(), change.after.as_deref()));
        assert_eq!(
            changes.collect::<Vec<_>>(),
            [
                ("env.B", Some("old"), Some("new")),
                ("env.C", Some("(hidden)"), Some("(hidden)")),
                ("env.E", None, Some("added")),
                ("env.D", Some("(hidden)"), None),
            ]
        );
    }
}
