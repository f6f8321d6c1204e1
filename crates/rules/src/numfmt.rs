//! Figures as people read them.

/// Digits with a comma before every three of them: `12,345`.
pub fn grouped(digits: &str) -> String {
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// One after the other, for a line of the log.
pub fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

/// The value that so many of a thousand keep within, of values in their order; `None` of none.
pub fn quantile<T: Copy>(sorted: &[T], permille: usize) -> Option<T> {
    let rank = (sorted.len() * permille).div_ceil(1000).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_have_commas_every_three() {
        assert_eq!(
            ["", "0", "999", "1000", "1234567"].map(grouped),
            ["", "0", "999", "1,000", "1,234,567"]
        );
    }

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let sorted: Vec<u32> = (1..=1000).collect();
        assert_eq!(
            [500, 990, 999, 1000].map(|part| quantile(&sorted, part)),
            [Some(500), Some(990), Some(999), Some(1000)]
        );
        assert_eq!(
            (quantile(&[7], 500), quantile(&[7, 8], 990), quantile::<u32>(&[], 500)),
            (Some(7), Some(8), None)
        );
    }
}
