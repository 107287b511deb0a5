//! Pages by position: the next page begins after the last item of this one, whatever was added in between.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{answers::Page, error::ViewportError};

/// The most items of a page.
pub const MAX_LIMIT: u32 = 200;

/// Which page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// How many items at most: 1 to [`MAX_LIMIT`]; others are taken as the nearest of these.
    pub limit: u32,
    /// [`Page::next`] of the page before.
    pub after: Option<String>,
}

impl Default for PageRequest {
    /// The first fifty.
    fn default() -> Self {
        Self { limit: 50, after: None }
    }
}

/// An order to list in: columns that together differ from row to row.
pub(super) struct Order(pub &'static [(&'static str, Direction)]);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Up,
    Down,
}

impl Order {
    /// `a DESC, b`.
    pub fn by(&self) -> String {
        let column = |(name, direction): &(&str, Direction)| match direction {
            Direction::Up => (*name).to_owned(),
            Direction::Down => format!("{name} DESC"),
        };
        self.0.iter().map(column).collect::<Vec<_>>().join(", ")
    }

    /// The condition for what comes after a position, with the texts that its question marks stand for.
    ///
    /// Spelled out, because not every planner uses an index for `(a, b) > (?, ?)`; the bound on the first column says
    /// once more what the rest implies, so that an index is entered where the page begins.
    pub fn beyond(&self, position: &[String]) -> (String, Vec<String>) {
        let mut condition = String::new();
        let mut values = Vec::new();
        let last = self.0.len() - 1;
        for (depth, ((name, direction), value)) in self.0.iter().zip(position).enumerate() {
            let sign = if *direction == Direction::Up { '>' } else { '<' };
            if depth == 0 && last > 0 {
                condition.push_str(&format!("{name} {sign}= ? AND "));
                values.push(value.clone());
            }
            values.push(value.clone());
            if depth < last {
                condition.push_str(&format!("({name} {sign} ? OR ({name} = ? AND "));
                values.push(value.clone());
            } else {
                condition.push_str(&format!("{name} {sign} ?{}", "))".repeat(last)));
            }
        }
        (condition, values)
    }
}

impl PageRequest {
    pub(super) fn limit(&self) -> usize {
        self.limit.clamp(1, MAX_LIMIT) as usize
    }

    /// The position to go on from, of as many texts as the order has columns.
    pub(super) fn position(&self, columns: usize) -> Result<Option<Vec<String>>, ViewportError> {
        let Some(token) = &self.after else { return Ok(None) };
        let wrong = || ViewportError::Continue(token.chars().take(80).collect());
        let json = URL_SAFE_NO_PAD.decode(token).map_err(|_| wrong())?;
        let position: Vec<String> = serde_json::from_slice(&json).map_err(|_| wrong())?;
        if position.len() == columns { Ok(Some(position)) } else { Err(wrong()) }
    }

    /// The page, of one row more than it takes if there are as many; `position` is that of an item.
    pub(super) fn page<T>(&self, mut items: Vec<T>, position: impl Fn(&T) -> Vec<String>) -> Page<T> {
        let more = items.len() > self.limit();
        items.truncate(self.limit());
        let token = |item| URL_SAFE_NO_PAD.encode(serde_json::json!(position(item)).to_string());
        let next = items.last().filter(|_| more).map(token);
        Page { items, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: Order = Order(&[("a", Direction::Down), ("b", Direction::Up), ("c", Direction::Up)]);

    #[test]
    fn what_comes_after_is_compared_column_by_column() {
        let (condition, values) = ORDER.beyond(&["1", "2", "3"].map(str::to_owned));
        assert_eq!(condition, "a <= ? AND (a < ? OR (a = ? AND (b > ? OR (b = ? AND c > ?))))");
        assert_eq!(values, ["1", "1", "1", "2", "2", "3"]);
        assert_eq!(ORDER.by(), "a DESC, b, c");
        assert_eq!(Order(&[("a", Direction::Up)]).beyond(&["1".to_owned()]).0, "a > ?");
    }

    #[test]
    fn a_page_says_how_to_go_on_only_where_more_follows() {
        let of = |limit, after| PageRequest { limit, after };
        let page = of(2, None).page(vec!["x", "y", "z"], |item| vec![(*item).to_owned()]);
        assert_eq!(page.items, ["x", "y"]);
        assert_eq!(of(2, page.next).position(1).unwrap(), Some(vec!["y".to_owned()]));
        assert_eq!(of(3, None).page(vec!["x", "y", "z"], |item| vec![(*item).to_owned()]).next, None);
    }

    #[test]
    fn a_token_that_was_not_made_here_is_refused() {
        for token in ["", "!", "WzFd", &URL_SAFE_NO_PAD.encode(r#"["only one"]"#)] {
            let request = PageRequest { after: Some(token.to_owned()), ..PageRequest::default() };
            assert!(matches!(request.position(2), Err(ViewportError::Continue(_))), "{token}");
        }
    }

    #[test]
    fn limits_are_kept() {
        let limit = |limit| PageRequest { limit, after: None }.limit();
        assert_eq!((limit(0), limit(7), limit(u32::MAX)), (1, 7, 200));
    }
}
