//! The lane of the use: a line with a step at each change of the flows, and gaps where the use is unknown.

use super::{BAR_HEIGHT, Canvas, Lane, Stroke, percent};
use crate::format;
use crate::history::{Usage, minute_of, start_of};

/// A run of consecutive minutes with as many flows.
struct Level {
    first: i64,
    last: i64,
    flows: u64,
}

impl Canvas<'_> {
    pub(super) fn usage(&self, usage: &Usage) -> Option<Lane> {
        let shown = self.shown();
        let (first, last) = (minute_of(shown.from()), minute_of(shown.to()));
        let mut levels: Vec<Level> = Vec::new();
        for (minute, known) in usage.minutes.range(first..=last) {
            let flows = known.flows.unwrap_or_default();
            match levels.last_mut().filter(|level| level.last + 1 == *minute && level.flows == flows) {
                Some(level) => level.last = *minute,
                None => levels.push(Level { first: *minute, last: *minute, flows }),
            }
        }
        let most = levels.iter().map(|level| level.flows).max()?;
        let mut lane = Lane::new("Use");
        lane.detail = match most {
            0 => "no flows".to_owned(),
            1 => "1 flow".to_owned(),
            _ => format!("up to {} flows", format::total(most)),
        };
        let mut before: Option<&Level> = None;
        for level in &levels {
            let y = height(level.flows, most);
            if let Some(before) = before.filter(|before| before.last + 1 == level.first) {
                let x = self.place(level.first);
                lane.strokes.push(Stroke {
                    x: [x.clone(), x],
                    y: [height(before.flows, most), y],
                    title: String::new(),
                });
            }
            let [from, to] = [level.first, level.last + 1].map(start_of);
            let flows = if level.flows == 1 { "flow" } else { "flows" };
            let title =
                format!("{} {flows} from {} to {}", format::total(level.flows), format::time(from), format::time(to));
            lane.strokes.push(Stroke { x: [self.place(level.first), self.place(level.last + 1)], y: [y, y], title });
            before = Some(level);
        }
        Some(lane)
    }

    /// Returns the place of the start of a minute.
    fn place(&self, minute: i64) -> String {
        percent(self.axis.percent(self.day, start_of(minute)))
    }
}

/// Returns the distance of a level from the top: that of most flows is at the top, and none at the bottom.
fn height(flows: u64, most: u64) -> u32 {
    let from_bottom = (u64::from(BAR_HEIGHT) * flows).checked_div(most).unwrap_or_default();
    BAR_HEIGHT - u32::try_from(from_bottom).unwrap_or(BAR_HEIGHT)
}
