resource "aws_vpc" "jitsi" {
  #checkov:skip=CKV2_AWS_11:Flow logs would record the address of every caller, and nothing here reads them.
  cidr_block           = var.vpc_cidr
  enable_dns_hostnames = true
  tags                 = { Name = var.project_name, Project = var.project_name }
}

# Nothing uses the default security group, so it gets no rules.
resource "aws_default_security_group" "jitsi" {
  vpc_id = aws_vpc.jitsi.id
  tags   = { Name = "${var.project_name}-unused", Project = var.project_name }
}

# One subnet for tasks and load balancer: the load balancer must have one address, and reaches only tasks in its own zone.
# There is no NAT gateway, which would cost more than the idle platform, so the tasks have public addresses (for pulling
# images); their security group lets nothing in but the load balancer.
resource "aws_subnet" "public" {
  vpc_id            = aws_vpc.jitsi.id
  cidr_block        = cidrsubnet(var.vpc_cidr, 8, 0)
  availability_zone = coalesce(var.availability_zone, "${var.region}a")
  tags              = { Name = "${var.project_name}-public", Project = var.project_name }
}

resource "aws_internet_gateway" "jitsi" {
  vpc_id = aws_vpc.jitsi.id
  tags   = { Name = var.project_name, Project = var.project_name }
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.jitsi.id

  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.jitsi.id
  }

  tags = { Name = "${var.project_name}-public", Project = var.project_name }
}

resource "aws_route_table_association" "public" {
  subnet_id      = aws_subnet.public.id
  route_table_id = aws_route_table.public.id
}
