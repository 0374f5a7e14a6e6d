//! Lists in pages.

/// A token that didn't come from an earlier page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadToken;

/// One page of items that are sorted by a unique key, and the token for the next one.
///
/// The token is the last key in disguise: what comes or goes meanwhile makes no item appear twice, nor others vanish.
///
/// # Errors
///
/// When the token isn't one of these.
pub fn page<T>(
    items: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> &str,
    size: usize,
    token: Option<&str>,
) -> Result<(Vec<T>, Option<String>), BadToken> {
    let last = token.map(reveal).transpose()?;
    let mut rest = items.into_iter().filter(|item| last.as_deref().is_none_or(|last| key(item) > last));
    let page: Vec<T> = rest.by_ref().take(size).collect();
    let next = rest.next().and_then(|_| page.last()).map(|item| disguise(key(item)));
    Ok((page, next))
}

fn disguise(key: &str) -> String {
    key.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn reveal(token: &str) -> Result<String, BadToken> {
    let digits = token.as_bytes();
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return Err(BadToken);
    }
    let byte = |pair: &[u8]| {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        u8::try_from(high * 16 + low).ok()
    };
    let bytes: Option<Vec<u8>> = digits.chunks_exact(2).map(byte).collect();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or(BadToken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_one_another() {
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
    fn an_exact_page_is_the_last() {
        assert_eq!(page(["a", "b"], |item| item, 2, None), Ok((vec!["a", "b"], None)));
    }

    #[test]
    fn foreign_tokens_are_refused() {
        for token in ["", "x", "zz", "abc", "ff", "é1"] {
            assert_eq!(page(["a"], |item| item, 2, Some(token)), Err(BadToken), "{token}");
        }
    }
}
