//! Units of numbers in configs: a number stands alone, and habits from other tools add the unit.

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Megabytes, 1024 to a gigabyte as clouds count them.
    Megabytes,
}

/// What people write after a number, and how many of the unit it is, as a fraction.
type Suffixes = &'static [(&'static str, i64, i64)];

const DURATIONS: Suffixes = &[
    ("ms", 1, 1000),
    ("s", 1, 1),
    ("sec", 1, 1),
    ("seconds", 1, 1),
    ("m", 60, 1),
    ("min", 60, 1),
    ("minutes", 60, 1),
    ("h", 3600, 1),
];

const SIZES: Suffixes = &[
    ("k", 1, 1024),
    ("kb", 1, 1024),
    ("ki", 1, 1024),
    ("kib", 1, 1024),
    ("m", 1, 1),
    ("mb", 1, 1),
    ("mi", 1, 1),
    ("mib", 1, 1),
    ("g", 1024, 1),
    ("gb", 1024, 1),
    ("gi", 1024, 1),
    ("gib", 1024, 1),
];

impl Unit {
    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Megabytes => "MB",
        }
    }

    /// The number of it that a text with another unit means, or nothing where that is no whole one: 300 of
    /// `5m`, 2048 of `2 GB`, 512 of `0.5Gi`.
    pub fn convert(self, text: &str) -> Option<i64> {
        let end = text.find(|letter: char| letter.is_ascii_alphabetic())?;
        let (number, suffix) = (text[..end].trim(), text[end..].to_ascii_lowercase());
        let suffixes = match self {
            Self::Seconds => DURATIONS,
            Self::Megabytes => SIZES,
        };
        let (_, times, parts) = suffixes.iter().find(|(name, ..)| *name == suffix)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let scale = 10_i64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let digits: i64 =
            format!("{whole}{fraction}").parse().ok().filter(|digits| *digits >= 0)?;
        let (product, divisor) = (digits.checked_mul(*times)?, scale.checked_mul(*parts)?);
        (product % divisor == 0).then_some(product / divisor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_other_tools_write_is_converted() {
        for (unit, text, expected) in [
            (Unit::Seconds, "5m", Some(300)),
            (Unit::Seconds, "30s", Some(30)),
            (Unit::Seconds, "1h", Some(3600)),
            (Unit::Seconds, "1.5 min", Some(90)),
            (Unit::Seconds, "500ms", None),
            (Unit::Seconds, "2GB", None),
            (Unit::Megabytes, "2GB", Some(2048)),
            (Unit::Megabytes, "2 gb", Some(2048)),
            (Unit::Megabytes, "512Mi", Some(512)),
            (Unit::Megabytes, "0.5Gi", Some(512)),
            (Unit::Megabytes, "0.3G", None),
            (Unit::Megabytes, "2", None),
            (Unit::Megabytes, "much", None),
            (Unit::Megabytes, "-2GB", None),
            (Unit::Megabytes, "99999999999999999999G", None),
        ] {
            assert_eq!(unit.convert(text), expected, "{text}");
        }
    }
}
