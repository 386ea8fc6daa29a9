//! Processors and memory: numbers with two digits after the point, counted in hundredths.

/// A decimal number with at most two digits after its point, in hundredths.
pub(super) fn hundredths(text: &str) -> Option<u32> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part = part.trim_end_matches('0');
    if part.len() > 2 || ![whole, part].iter().all(|text| text.bytes().all(|b| b.is_ascii_digit()))
    {
        return None;
    }
    let whole: u32 = whole.parse().ok()?;
    let part: u32 = format!("{part:0<2}").parse().ok()?;
    whole.checked_mul(100)?.checked_add(part)
}

/// An amount of memory in hundredths of a Gi.
pub(super) fn gibibytes(text: &str) -> Option<u32> {
    hundredths(text.strip_suffix("Gi")?)
}

/// Hundredths as people write them: `0.5`.
pub(super) fn shown_hundredths(hundredths: u32) -> String {
    let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
