//! Finds settings for hosts that were not called: a port is missing, or a letter is wrong.

use crate::event::Events;

/// An option, and the hosts that it was given for.
pub(super) struct Given<'a> {
    pub(super) option: &'static str,
    pub(super) hosts: Vec<&'a str>,
}

impl Given<'_> {
    /// Tells of each host that was not called: to everybody where it is almost one that was, with `-v`
    /// where it is another one, since variables may well name hosts for other days. `called` has every
    /// host by all of its names, the usual one first; when there is none, nothing is known.
    pub(super) fn tell_unused(&self, called: &[Vec<String>], events: &Events) {
        let option = self.option;
        if called.is_empty() {
            return;
        }
        let was_called = |host: &str| called.iter().flatten().any(|name| name == host);
        for &host in self.hosts.iter().filter(|host| !host.is_empty() && !was_called(host)) {
            // What has a setting of its own is not what somebody meant.
            let is_meant = |names: &&Vec<String>| {
                !names.iter().any(|name| self.hosts.contains(&name.as_str()))
                    && names.iter().any(|name| is_near(host, name))
            };
            match called.iter().find(is_meant).and_then(|names| names.first()) {
                Some(meant) => {
                    let text = format!(
                        "`{option}` was given for `{host}`, but this command speaks to `{meant}`"
                    );
                    events.warn("setting-not-used", text, None);
                }
                None => events.detail(format!(
                    "`{option}` was given for `{host}`, which this command did not call"
                )),
            }
        }
    }
}

/// Whether two names differ in the port alone, or in one letter of five.
fn is_near(one: &str, other: &str) -> bool {
    let differences = strsim::damerau_levenshtein(one, other);
    without_port(one) == without_port(other) || differences * 5 <= one.len().min(other.len())
}

/// A host in brackets, as addresses of IPv6 are written, has no other colons behind them.
fn without_port(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;

    #[test]
    fn what_is_almost_the_host_that_was_called_is_told_to_everybody() {
        let names = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let hub = || names(&["docker.io", "docker.io:443"]);
        let corp = || names(&["reg.corp:5703"]);
        for (hosts, called, expected) in [
            (vec!["reg.corp:5703", "docker.io:443", ""], vec![hub(), corp()], None),
            (vec!["reg.corp"], vec![hub(), corp()], Some("reg.corp:5703")),
            (vec!["reg.corp:443"], vec![corp()], Some("reg.corp:5703")),
            (vec!["dockr.io"], vec![hub()], Some("docker.io")),
            (vec!["[fd00::1]"], vec![names(&["[fd00::1]:5000"])], Some("[fd00::1]:5000")),
            (vec!["ghcr.io"], vec![hub()], Some("")),
            (vec!["r.io"], vec![names(&["q.io"])], Some("")),
            (vec!["mirror1.corp", "mirror2.corp"], vec![names(&["mirror1.corp"])], Some("")),
            (vec!["reg.corp"], Vec::new(), None),
        ] {
            let (events, receiver) = Events::channel();
            let given = Given { option: "--it", hosts: hosts.clone() };
            given.tell_unused(&called, &events);
            drop(events);
            let host = hosts.last().unwrap();
            let expected = expected.map(|meant| match meant {
                "" => Event::Detail {
                    text: format!("`--it` was given for `{host}`, which this command did not call"),
                },
                meant => Event::Warning {
                    code: "setting-not-used",
                    text: format!(
                        "`--it` was given for `{host}`, but this command speaks to `{meant}`"
                    ),
                    hint: None,
                },
            });
            assert_eq!(receiver.iter().collect::<Vec<_>>(), Vec::from_iter(expected));
        }
    }
}
