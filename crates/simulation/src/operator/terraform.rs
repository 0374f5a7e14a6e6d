//! The platform's scripts, which run Terraform.

use std::time::Duration;

use super::{GROUPS, Operator};
use jvb_watcher_sandbox::api::{ApiError, elb};

/// The interval at which Terraform polls whether a load balancer is active.
const ACTIVE_POLL: Duration = Duration::from_secs(10);

/// The time after which Terraform gives up.
const ACTIVE_LIMIT: Duration = Duration::from_secs(10 * 60);

impl Operator {
    /// Runs the platform's scale-up script: Terraform, which waits for an active load balancer, then the desired count.
    /// When Terraform fails, it is run once more.
    pub async fn scale_up(&self, desired: i32, pace: Duration) {
        for _ in 0..2 {
            match self.terraform_apply(pace).await {
                Ok(()) => break,
                Err(error) => {
                    self.environment.note(|| format!("Terraform fails: {error}"));
                    self.environment.with(|state, _| state.coverage.moment("Terraform failed, and was run again"));
                }
            }
            tokio::time::sleep(Duration::from_secs(30)).await;
        }
        let _ = self.scale(desired);
    }

    /// Runs `terraform apply`: creates what is missing, in Terraform's order, and removes the tags that it doesn't manage.
    pub async fn terraform_apply(&self, pace: Duration) -> Result<(), ApiError> {
        tokio::time::sleep(pace).await;
        let before = (self.load_balancer()?, self.groups()?);
        tokio::time::sleep(pace).await;
        // The groups and the load balancer don't depend on each other; the listeners need both.
        let mut group_arns = Vec::new();
        for group in GROUPS {
            let arn = match before.1.get(&self.group_name(group)) {
                Some(arn) => {
                    self.reset_tags(arn)?;
                    arn.clone()
                }
                None => self.create_group(group)?,
            };
            group_arns.push(arn);
            tokio::time::sleep(pace / 4).await;
        }
        let load_balancer = match before.0 {
            Some((arn, _)) => {
                self.reset_tags(&arn)?;
                arn
            }
            None => self.create_load_balancer()?,
        };
        self.until_active(&load_balancer).await?;
        tokio::time::sleep(pace / 4).await;
        let listeners = self.elb(elb::Request::DescribeListeners(elb::DescribeListenersInput {
            load_balancer_arn: Some(load_balancer.clone()),
            ..Default::default()
        }))?;
        let elb::Response::DescribeListeners(listeners) = listeners else { unreachable!("another answer") };
        for (group, arn) in GROUPS.into_iter().zip(&group_arns) {
            if !listeners.listeners.member.iter().any(|listener| listener.port.to_string() == group.listener.1) {
                self.create_listener(&load_balancer, arn, group)?;
            }
        }
        Ok(())
    }

    async fn until_active(&self, arn: &str) -> Result<(), ApiError> {
        let mut waited = Duration::ZERO;
        loop {
            match self.load_balancer()? {
                Some((found, state)) if found == arn && state == "active" => return Ok(()),
                Some((found, state)) if found == arn && state != "failed" && waited < ACTIVE_LIMIT => {}
                _ => return Err(ApiError::new("Terraform", "the load balancer did not become active")),
            }
            tokio::time::sleep(ACTIVE_POLL).await;
            waited += ACTIVE_POLL;
        }
    }

    /// Removes the tags that Terraform doesn't manage. It writes only if there are any.
    fn reset_tags(&self, arn: &str) -> Result<(), ApiError> {
        let input = elb::DescribeTagsInput { resource_arns: [arn.to_owned()].into_iter().collect() };
        let elb::Response::DescribeTags(output) = self.elb(elb::Request::DescribeTags(input))? else {
            unreachable!("another answer")
        };
        let tags = output.tag_descriptions.member.into_iter().flat_map(|of| of.tags.member);
        let unknown: Vec<_> = tags.map(|tag| tag.key).filter(|key| key != "Lifecycle").collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let input = elb::RemoveTagsInput {
            resource_arns: [arn.to_owned()].into_iter().collect(),
            tag_keys: unknown.into_iter().collect(),
        };
        self.elb(elb::Request::RemoveTags(input)).map(drop)
    }

    /// Runs the platform's scale-down script: the desired count, a minute, then `terraform destroy`.
    pub async fn scale_down_with_terraform(&self) {
        let _ = self.scale(0);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let _ = self.delete_load_balancer();
        for _ in 0..20 {
            if self.delete_groups().is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    }
}
