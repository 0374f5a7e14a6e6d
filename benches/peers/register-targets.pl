#!/usr/bin/env perl
# Registers the tasks of the platform's service in the target groups of its load balancer, with the AWS CLI: the third of
# the scripts that `up` and `down` replace (docs/moving-from-the-scripts.md), in the manner of the other two.
use strict;
use warnings;

my $project = $ENV{JITSI_PROJECT} or die "Set JITSI_PROJECT\n";

sub aws {
    my ($command) = @_;
    my $output = `aws $command --output text`;
    die "aws $command failed\n" if $? != 0;
    return grep { $_ ne 'None' } split ' ', $output;
}

my $cluster = "$project-cluster";
my ($nlb) = aws("elbv2 describe-load-balancers --names $project-jvb-nlb --query 'LoadBalancers[0].LoadBalancerArn'");
my @groups = aws("elbv2 describe-target-groups --load-balancer-arn $nlb --query 'TargetGroups[].TargetGroupArn'");
my @tasks = aws("ecs list-tasks --cluster $cluster --service-name $project-service --query 'taskArns[]'");
my @addresses;
# DescribeTasks takes a hundred tasks.
while (my @some = splice @tasks, 0, 100) {
    push @addresses, aws("ecs describe-tasks --cluster $cluster --tasks @some"
        . " --query 'tasks[].attachments[].details[?name==`privateIPv4Address`].value[]'");
}
die "No tasks are running\n" unless @addresses;
for my $group (@groups) {
    my $targets = join ' ', map { "Id=$_" } @addresses;
    aws("elbv2 register-targets --target-group-arn $group --targets $targets");
}
print scalar(@addresses) . " addresses in " . scalar(@groups) . " target groups\n";
