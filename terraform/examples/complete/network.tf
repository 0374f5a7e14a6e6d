data "aws_availability_zones" "available" {
  #checkov:skip=CKV_AWS_394:The zones differ by region; the first two of the list are used.
  state = "available"
}

resource "aws_vpc" "jitsi" {
  #checkov:skip=CKV2_AWS_11:Flow logs cost more than the idle platform.
  cidr_block           = var.vpc_cidr
  enable_dns_hostnames = true
  tags                 = { Name = var.project_name, Project = var.project_name }
}

# Nothing uses the default security group, so it gets no rules.
resource "aws_default_security_group" "jitsi" {
  vpc_id = aws_vpc.jitsi.id
  tags   = { Name = "${var.project_name}-unused", Project = var.project_name }
}

# Two zones, so that the load balancer survives the failure of one.
resource "aws_subnet" "public" {
  #checkov:skip=CKV_AWS_130:Without NAT, which costs more than the idle platform, tasks need public addresses.
  count = 2

  vpc_id                  = aws_vpc.jitsi.id
  cidr_block              = cidrsubnet(var.vpc_cidr, 8, count.index)
  availability_zone       = data.aws_availability_zones.available.names[count.index]
  map_public_ip_on_launch = true
  tags                    = { Name = "${var.project_name}-public-${count.index}", Project = var.project_name }
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
  count = 2

  subnet_id      = aws_subnet.public[count.index].id
  route_table_id = aws_route_table.public.id
}
