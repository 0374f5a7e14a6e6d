//! Pagination of lists.

/// Error for a token that no earlier page returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidToken;

/// Returns a page of items, which must be sorted by a unique key, and the token for the next page.
///
/// The token encodes the last key of the page. Items that are added or removed between two pages therefore neither repeat
/// nor hide others.
///
/// # Errors
///
/// Returns an error when no earlier page returned the token.
pub fn page<T>(
    items: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> &str,
    size: usize,
    token: Option<&str>,
) -> Result<(Vec<T>, Option<String>), InvalidToken> {
    let last = token.map(decode).transpose()?;
    let mut rest = items.into_iter().filter(|item| last.as_deref().is_none_or(|last| key(item) > last));
    let page: Vec<T> = rest.by_ref().take(size).collect();
    let next = rest.next().and_then(|_| page.last()).map(|item| encode(key(item)));
    Ok((page, next))
}

fn encode(key: &str) -> String {
    key.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn decode(token: &str) -> Result<String, InvalidToken> {
    let digits = token.as_bytes();
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return Err(InvalidToken);
    }
    let byte = |pair: &[u8]| {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        u8::try_from(high * 16 + low).ok()
    };
    let bytes: Option<Vec<u8>> = digits.chunks_exact(2).map(byte).collect();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or(InvalidToken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_together_hold_every_item_once() {
        let all: Vec<String> = (0..25).map(|number| format!("é{number:02}")).collect();
        let mut seen = Vec::new();
        let mut token = None;
        loop {
            let (items, next) = page(all.iter(), |item| item, 10, token.as_deref()).unwrap();
            seen.extend(items.into_iter().cloned());
            token = next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn a_page_that_holds_the_rest_has_no_token() {
        assert_eq!(page(["a", "b"], |item| item, 2, None), Ok((vec!["a", "b"], None)));
    }

    #[test]
    fn tokens_of_no_page_are_refused() {
        for token in ["", "x", "zz", "abc", "ff", "é1"] {
            assert_eq!(page(["a"], |item| item, 2, Some(token)), Err(InvalidToken), "{token}");
        }
    }
}
