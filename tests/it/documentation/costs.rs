//! docs/costs.md, and the amounts on other pages: each is what the cost model gives.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use jvb_watcher_cost::{
    Bill, BillItem, EXAMPLE_MONTH, FALLBACK_REGION, HOURS_PER_MONTH, Item, Model, Platform, REGIONS, dollars, watcher,
};

use super::check;

/// The platform of the examples in us-east-1, during the calls of the example month.
fn example() -> Model {
    let egress_gb_per_hour = EXAMPLE_MONTH.egress_gb;
    Model::new(FALLBACK_REGION, Platform { egress_gb_per_hour, ..Platform::EXAMPLE })
}

/// The same without traffic.
fn quiet() -> Model {
    Model::new(FALLBACK_REGION, Platform::EXAMPLE)
}

/// The watcher as a Fargate worker: 0.25 vCPU and 0.5 GB on ARM with a public IPv4 address.
fn worker_month() -> (f64, f64) {
    let worker = Platform { vcpus: 0.25, memory_gb: 0.5, ..Platform::EXAMPLE };
    let model = Model::new(FALLBACK_REGION, worker);
    let bill = model.bill(&model.part(HOURS_PER_MONTH));
    (bill.amount(Item::TaskVcpus) + bill.amount(Item::TaskMemory), bill.amount(Item::TaskAddresses))
}

/// Formats a number without trailing zeros.
fn number(value: f64) -> String {
    let text = format!("{value:.10}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn rounded(value: f64) -> String {
    number((value * 100.0).round() / 100.0)
}

/// Formats a quantity with its unit, of which there can be one.
fn counted(quantity: f64, unit: &str) -> String {
    let unit = if quantity == 1.0 { unit.strip_suffix('s').unwrap_or(unit) } else { unit };
    format!("{} {unit}", rounded(quantity))
}

fn rows(bill: &Bill) -> String {
    let row = |of: &BillItem| {
        let quantity = counted(of.quantity, of.item.unit());
        format!("| {} | {quantity} | ${} | {} |\n", of.item.name(), number(of.unit_price), dollars(of.amount()))
    };
    let total = format!("| **total** | | | **{}** |\n", dollars(bill.total()));
    let rows: String = bill.items.iter().map(row).collect();
    format!("| item | quantity | price | amount |\n| --- | --- | --- | --- |\n{rows}{total}")
}

fn prices() -> String {
    let mut text = "| region | price list of | load balancer, h | capacity unit, h | ARM vCPU, h | ARM GB, h | x86 vCPU, h | x86 GB, h | egress, GB | log, GB |\n\
        | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for row in REGIONS {
        let prices = [
            row.load_balancer_hour,
            row.capacity_unit_hour,
            row.arm64.vcpu_hour,
            row.arm64.memory_gb_hour,
            row.x86_64.vcpu_hour,
            row.x86_64.memory_gb_hour,
            row.egress_gb,
            row.log_gb,
        ];
        let prices: Vec<_> = prices.iter().map(|price| number(*price)).collect();
        writeln!(text, "| `{}` | {} | {} |", row.region, row.as_of, prices.join(" | ")).expect("a string");
    }
    text
}

/// The bills of the example month, side by side.
fn months() -> String {
    let model = example();
    let bills = [model.month(&EXAMPLE_MONTH), model.kept_month(&EXAMPLE_MONTH), model.always_on_month(&EXAMPLE_MONTH)];
    let mut text = "| item | on demand | load balancer kept | always on |\n| --- | --- | --- | --- |\n".to_owned();
    for of in &bills[0].items {
        let amounts: Vec<_> = bills.iter().map(|bill| dollars(bill.amount(of.item))).collect();
        writeln!(text, "| {} | {} |", of.item.name(), amounts.join(" | ")).expect("a string");
    }
    let totals: Vec<_> = bills.iter().map(|bill| format!("**{}**", dollars(bill.total()))).collect();
    writeln!(text, "| **total** | {} |", totals.join(" | ")).expect("a string");
    let [on_demand, kept, always_on] = bills.map(|bill| bill.total());
    writeln!(
        text,
        "\nOn demand the month costs {} less than with a load balancer that is kept, and {} less than always on. The\n\
         traffic is the same in all three; without it and its capacity units, the month on demand costs {}.",
        dollars(kept - on_demand),
        dollars(always_on - on_demand),
        dollars(
            on_demand
                - model.month(&EXAMPLE_MONTH).amount(Item::Egress)
                - model.month(&EXAMPLE_MONTH).amount(Item::CapacityUnits)
        ),
    )
    .expect("a string");
    text
}

fn watcher_rows() -> String {
    let mut text =
        "| item | quantity | free | price | with free tier | without |\n| --- | --- | --- | --- | --- | --- |\n"
            .to_owned();
    for item in watcher::items(FALLBACK_REGION) {
        let quantity = match item.quantity {
            few if few < 1.0 => format!("{} {}", number((few * 1e4).round() / 1e4), item.unit),
            many => counted(many, item.unit),
        };
        let price = number(item.unit_price);
        let (with, without) = (dollars(item.amount_with_free_tier()), dollars(item.amount()));
        writeln!(text, "| {} | {quantity} | {} | ${price} | {with} | {without} |", item.name, number(item.free))
            .expect("a string");
    }
    let month = watcher::idle_month(FALLBACK_REGION);
    let (with, without) = (dollars(month.with_free_tier), dollars(month.without));
    writeln!(text, "| **total** | | | | **{with}** | **{without}** |").expect("a string");
    text
}

fn page() -> String {
    let model = example();
    let Platform { vcpus, memory_gb, egress_gb_per_hour, .. } = model.platform;
    let (task, address) = worker_month();
    let load_balancer = quiet().load_balancer_month();
    let hours = load_balancer.amount(Item::LoadBalancer);
    let extension = Duration::from_secs(57 * 60);
    let extra = quiet().load_balancer(extension).amount(Item::LoadBalancerAddresses);
    let idle = watcher::idle_month(FALLBACK_REGION);
    let idle_total = model.idle_month().total();
    let [prices, idle_rows, watcher_rows, hour_rows, months] =
        [prices(), rows(&model.idle_month()), watcher_rows(), rows(&model.hour()), months()];
    let percent = |part: f64, whole: f64| format!("{:.0}%", 100.0 * part / whole);
    format!(
        "<!-- Generated from the cost model, crates/cost: see tests/it/documentation/costs.rs -->\n\n\
# Costs\n\n\
One model has all amounts: those of `status`, `down`, `report` and the demo, and those on this page. They are estimates in\n\
US dollars at AWS's list prices, without taxes and discounts. None has been compared with a bill yet.\n\n\
## Prices\n\n\
{prices}\n\
A public IPv4 address costs $0.005 an hour, in use or idle, and a Route 53 hosted zone $0.50 a month, in every region. The\n\
prices are those of AWS's price list (offers AWSELB, AmazonECS, AWSDataTransfer and AmazonCloudWatch), in the first paid\n\
tier, except the capacity unit of `eu-west-1`, which is from a secondary source. For another region those of\n\
`{FALLBACK_REGION}` stand in, and every output says so. Each price and each quantity has an option\n\
([Configuration](configuration.md#prices)):\n\n\
```sh\n\
jvb-watcher status --egress 11.25 --load-balancer-price 0.027 --vcpu-price 0.0142 --memory-price 0.00156\n\
```\n\n\
## The example\n\n\
The platform of `terraform/examples`, in `{FALLBACK_REGION}`: a network load balancer in one subnet, which has a public IPv4\n\
address there; one Fargate task on ARM with {vcpus} vCPUs, {memory_gb} GB and a public IPv4 address, while it runs; a hosted\n\
zone; and the watcher as a Lambda function. There is no application load balancer: the network load balancer terminates\n\
HTTPS. The certificate, the VPC, the ECS cluster, a service without tasks, and target groups cost nothing.\n\n\
### A month in which nothing runs\n\n\
{idle_rows}\n\
The watcher costs nothing while the account's always-free tier covers it, and up to {without} a month where other resources\n\
use the free tier up; {bare} of it without metrics, alarms and dashboard:\n\n\
{watcher_rows}\n\
As a worker on Fargate (0.25 vCPU and 0.5 GB on ARM) the watcher costs {task} a month and its public IPv4 address {address}:\n\
{share} of the {hours} that an idle load balancer costs, or {share_with_address} of the {with_address} with the load balancer's\n\
own address.\n\n\
### An hour in which everything runs\n\n\
Ten people receive 2.5 Mbit/s each, which is {egress_gb_per_hour} GB an hour. Capacity units count the traffic in both\n\
directions; as much is taken to come in as goes out.\n\n\
{hour_rows}\n\
Without traffic an hour costs {quiet_hour}.\n\n\
To know how much the load balancer is used, the watcher asks CloudWatch for three metrics a minute (GetMetricData, $0.01\n\
per 1,000 metrics, which no free tier covers): {usage} an hour while a load balancer with targets exists, beside the amounts\n\
above. Each further protocol in `--use-protocols`, and each further target group for UDP, is one metric more.\n\
`--no-usage` turns it off.\n\n\
### A month with ten calls\n\n\
Each call lasts an hour. The load balancer exists for {up} minutes, of which two hours are billed, and the task runs for\n\
{tasks_up}.\n\n\
{months}\n\
## Hours that have begun\n\n\
A load balancer is billed for each hour or partial hour. One that exists for {up} minutes costs as much as one that exists\n\
for two hours. `--idle-grace until-paid-hour` makes use of that: an idle load balancer is kept until three minutes before\n\
the end of its hour, counted from its creation, so that the next call finds it and need not wait, some minutes, until\n\
another one is active. The extension never begins another hour. It costs only the load balancer's public IPv4 address:\n\
{extra} for 57 minutes.\n\n\
AWS's pricing page doesn't say whether the hours count from the creation or by the clock; the watcher counts from\n\
CreatedTime of DescribeLoadBalancers. If AWS counts by the clock, the extension can cost one hour more, ${hour_price}.\n\n\
## What the model leaves out\n\n\
- `status`, `down` and `report` take tasks to run as long as the load balancer exists. A task that starts later costs less.\n\
- Traffic is an input (`--egress`), zero by default: the watcher doesn't see it. It outweighs the rest of an hour with\n\
\x20 people in it. The first 100 GB a month are free for the whole account; the model ignores that.\n\
- Public IPv4 addresses are counted by the second, not by the hour.\n\
- Fargate Spot has a price of its own, which changes: give `--vcpu-price` and `--memory-price`.\n\
- The containers' logs, DNS queries other than those of alias records, and images in a registry of AWS.\n\n\
The platform's design document has $0.19 an hour and $0.73 an idle month. The hour has an application load balancer that\n\
does not exist and next to no traffic; the month has stored recordings, which this platform does not make. An idle month of\n\
this platform costs {idle_total}.\n",
        without = dollars(idle.without),
        bare = dollars(idle.bare),
        task = dollars(task),
        address = dollars(address),
        share = percent(task + address, hours),
        share_with_address = percent(task + address, load_balancer.total()),
        hours = dollars(hours),
        with_address = dollars(load_balancer.total()),
        quiet_hour = dollars(quiet().hour().total()),
        usage = dollars(3.0 * 60.0 * 0.01 / 1000.0),
        up = EXAMPLE_MONTH.load_balancer_up.as_secs() / 60,
        tasks_up = EXAMPLE_MONTH.tasks_up.as_secs() / 60,
        extra = dollars(extra),
        hour_price = number(model.prices.load_balancer_hour),
        idle_total = dollars(idle_total),
    )
}

#[test]
fn the_page_of_costs_is_what_the_model_gives() {
    check("costs.md", &page());
}

#[test]
fn the_example_is_the_task_of_the_terraform_module() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("terraform/modules/jitsi-service/variables.tf");
    let body: hcl::Body = hcl::from_str(&std::fs::read_to_string(path).expect("a file")).expect("HCL");
    let default = |name: &str| {
        let variables = body.blocks().filter(|block| block.identifier() == "variable");
        let variable = variables.into_iter().find(|block| block.labels().iter().any(|label| label.as_str() == name));
        let variable = variable.unwrap_or_else(|| panic!("no variable {name}"));
        let default = variable.body().attributes().find(|attribute| attribute.key() == "default");
        default.expect("a default").expr().to_string()
    };
    let Platform { vcpus, memory_gb, architecture, .. } = Platform::EXAMPLE;
    assert_eq!(default("cpu"), number(vcpus * 1024.0));
    assert_eq!(default("memory"), number(memory_gb * 1024.0));
    assert_eq!(default("cpu_architecture"), format!("{:?}", architecture.as_str()));
}

#[test]
fn amounts_on_other_pages_are_the_models() {
    let two_zones = Model::new(FALLBACK_REGION, Platform { load_balancer_subnets: 2.0, ..Platform::EXAMPLE });
    let standing = two_zones.load_balancer_month();
    let (task, address) = worker_month();
    let hours = quiet().load_balancer_month().amount(Item::LoadBalancer);
    let third = (task + address) / hours;
    assert!((0.64..0.69).contains(&third), "two thirds: {third}");
    let one_zone = example().load_balancer_month();
    let about = format!("about ${:.0} a month in one zone, ${:.0} in two", one_zone.total(), standing.total());
    let idle_load_balancer = format!("an idle NLB costs {} a month", dollars(one_zone.amount(Item::LoadBalancer)));
    let address_of_zone =
        format!("each of its public addresses, one a zone, {}", dollars(one_zone.amount(Item::LoadBalancerAddresses)));
    let worker = format!(
        "= {} a month, plus 730 × $0.005 = {} for a public IPv4 address. That is two thirds",
        dollars(task),
        dollars(address)
    );
    let idle = format!("An idle month costs {}", dollars(example().idle_month().total()));
    let of_load_balancer = format!(
        " of {} a month, one evening a day",
        dollars(Model::new("eu-west-1", Platform::EXAMPLE).load_balancer_month().total())
    );
    for (page, sentences) in [
        ("docs/alternatives.md", vec![about, idle_load_balancer, address_of_zone]),
        ("terraform/modules/watcher/README.md", vec![worker]),
        ("README.md", vec![idle, of_load_balancer]),
    ] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).expect("a page");
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for sentence in sentences {
            assert!(text.contains(&sentence), "{page} doesn't have {sentence:?}");
        }
    }
}
