//! How the costs on the page are estimated, in words.

use jvb_watcher_cost::{HOURS_PER_MONTH, Model, dollars};

use crate::format;

/// Returns a paragraph for each of several different models.
pub fn of(models: &[Model]) -> Vec<String> {
    let mut paragraphs: Vec<String> = Vec::new();
    for paragraph in models.iter().map(paragraph) {
        if !paragraphs.contains(&paragraph) {
            paragraphs.push(paragraph);
        }
    }
    paragraphs
}

fn paragraph(model: &Model) -> String {
    let hour = match model.hourly {
        Some(_) => "with the tasks and everything else that runs only then".to_owned(),
        None => {
            let items = model.hour().items;
            let items = items.iter().map(|of| format!("{} {}", of.item.name(), unit_price(of.amount())));
            format!(
                "with a task that runs as long ({}); of the load balancer itself, each hour that has begun counts in full",
                items.collect::<Vec<_>>().join(", ")
            )
        }
    };
    let always_on = match model.always_on_monthly {
        None => format!("{HOURS_PER_MONTH} hours at the hourly price, plus the same fixed cost"),
        Some(_) => "as given".to_owned(),
    };
    let traffic = match (model.hourly, model.platform.egress_gb_per_hour) {
        (None, 0.0) => " Traffic to the internet is not included.",
        (None, _) => " Always-on operation has the same traffic.",
        (Some(_), _) => "",
    };
    let origin = if model.hourly.is_some() { String::new() } else { format!(" The {}.", model.prices.origin()) };
    let without_traffic = model.always_on_monthly(0.0);
    format!(
        "{} for each hour in which a load balancer is up, {hour}; plus a fixed {} a month. Always-on operation: {} a \
         month ({always_on}).{traffic}{origin}",
        format::dollars(model.hourly()),
        format::dollars(model.idle_monthly()),
        format::dollars(without_traffic),
    )
}

/// Formats a price to a hundredth of a cent.
fn unit_price(price: f64) -> String {
    if price < 0.1 { format!("${price:.4}") } else { dollars(price) }
}

#[cfg(test)]
mod tests {
    use jvb_watcher_cost::Platform;

    use super::*;

    #[test]
    fn names_every_item_and_the_origin_of_the_prices() {
        let platform = Platform { egress_gb_per_hour: 11.25, ..Platform::EXAMPLE };
        let [text] = &of(&[Model::new("us-east-1", platform)])[..] else { panic!("one paragraph") };
        assert_eq!(
            text,
            "$1.26 for each hour in which a load balancer is up, with a task that runs as long (network load balancer \
             $0.0225, its public IPv4 addresses $0.0050, its capacity units $0.14, Fargate vCPUs $0.0648, Fargate \
             memory $0.0142, the tasks' public IPv4 addresses $0.0050, traffic to the internet $1.01); of the load \
             balancer itself, each hour that has begun counts in full; plus a fixed $0.50 a month. Always-on operation: \
             $81.90 a month (730 hours at the hourly price, plus the same fixed cost). Always-on operation has the same \
             traffic. The prices of us-east-1 of 2026-09-20."
        );
    }

    #[test]
    fn services_with_the_same_prices_share_a_paragraph() {
        let [us, eu] = ["us-east-1", "eu-west-1"].map(|region| Model::new(region, Platform::EXAMPLE));
        assert_eq!(of(&[us.clone(), eu, us]).len(), 2);
    }
}
