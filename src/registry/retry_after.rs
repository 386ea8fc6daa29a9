//! The `Retry-After` header (RFC 9110, 10.2.3): seconds or an HTTP date.

use std::time::Duration;

/// The longest wait that a registry may ask for.
const CAP: Duration = Duration::from_mins(1);

/// How long to wait; `None` when the header says nothing usable.
///
/// A date is compared with the registry's own clock (`Date`) where it tells it, so that a skewed
/// clock on either side does not matter; else with ours, in seconds since 1970.
pub(super) fn parse(header: &str, date: Option<&str>, our_unix_seconds: i64) -> Option<Duration> {
    let header = header.trim();
    let seconds = if header.bytes().all(|byte| byte.is_ascii_digit()) && !header.is_empty() {
        // More digits than fit is just long.
        header.parse().unwrap_or(u64::MAX)
    } else {
        let now = date.and_then(unix_seconds).unwrap_or(our_unix_seconds);
        u64::try_from(unix_seconds(header)?.saturating_sub(now)).unwrap_or(0)
    };
    Some(Duration::from_secs(seconds).min(CAP))
}

fn unix_seconds(date: &str) -> Option<i64> {
    let zoned = jiff::fmt::rfc2822::parse(date.trim()).ok()?;
    Some(zoned.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT
    const NOW: i64 = 784_111_777;

    proptest::proptest! {
        #[test]
        fn no_header_makes_us_wait_long(header in ".*", date in ".*") {
            assert!(parse(&header, Some(&date), NOW).is_none_or(|wait| wait <= CAP));
        }
    }

    #[test]
    fn seconds_and_dates_are_understood_and_capped() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (header, server_date, expected) in [
            ("7", None, Some(7)),
            (" 0 ", None, Some(0)),
            ("999999", None, Some(60)),
            ("99999999999999999999999", None, Some(60)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", None, Some(10)),
            ("Sun, 06 Nov 1994 08:49:27 GMT", None, Some(0)),
            ("Fri, 31 Dec 2100 23:59:59 GMT", None, Some(60)),
            // The server's clock is an hour ahead: only the difference counts.
            ("Sun, 06 Nov 1994 09:49:42 GMT", Some("Sun, 06 Nov 1994 09:49:37 GMT"), Some(5)),
            ("Sun, 06 Nov 1994 08:49:40 GMT", Some("junk"), Some(3)),
            ("-5", Some(date), None),
            ("1.5", None, None),
            ("soon", None, None),
            ("", None, None),
        ] {
            let wait = parse(header, server_date, NOW);
            assert_eq!(wait, expected.map(Duration::from_secs), "{header}");
        }
    }
}
