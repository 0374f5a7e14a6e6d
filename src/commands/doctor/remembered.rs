//! Diagnostics that remember their answers, for a fleet: its services share credentials, rules and most permissions.

use crate::aws::AwsError;
use crate::aws::answers::Answers;
use crate::aws::diagnostics::{Caller, DeletionProtection, Diagnostics, PermissionProbe, RuleTarget, TaskNetwork};

/// Diagnostics that ask each question once that several services share.
pub(super) struct RememberedDiagnostics<D> {
    diagnostics: D,
    callers: Answers<(), Caller>,
    rule_targets: Answers<String, Vec<RuleTarget>>,
    probes: Answers<PermissionProbe, ()>,
}

impl<D> RememberedDiagnostics<D> {
    /// Creates diagnostics that have asked nothing.
    pub(super) fn new(diagnostics: D) -> Self {
        Self { diagnostics, callers: Answers::default(), rule_targets: Answers::default(), probes: Answers::default() }
    }
}

impl<D: Diagnostics> Diagnostics for RememberedDiagnostics<D> {
    async fn caller(&self) -> Result<Caller, AwsError> {
        self.callers.get((), || self.diagnostics.caller()).await
    }

    async fn rule_targets(&self, rule: &str) -> Result<Vec<RuleTarget>, AwsError> {
        self.rule_targets.get(rule.to_owned(), || self.diagnostics.rule_targets(rule)).await
    }

    async fn task_network(&self, cluster: &str, service: &str) -> Result<Option<TaskNetwork>, AwsError> {
        self.diagnostics.task_network(cluster, service).await
    }

    async fn deletion_protection(&self, load_balancer_arn: &str) -> Result<DeletionProtection, AwsError> {
        self.diagnostics.deletion_protection(load_balancer_arn).await
    }

    async fn probe(&self, probe: &PermissionProbe) -> Result<(), AwsError> {
        self.probes.get(probe.clone(), || self.diagnostics.probe(probe)).await
    }
}
