# Certificates of ACM are free. ACM renews this one for as long as the validation record exists.

data "aws_route53_zone" "domain" {
  name = var.zone
}

resource "aws_acm_certificate" "domain" {
  domain_name       = var.domain
  validation_method = "DNS"
  tags              = { Name = var.domain, Project = var.project_name }

  lifecycle {
    create_before_destroy = true
  }
}

locals {
  # The certificate has one name, so one record validates it. Read by way of JSON, which also works with a schema that
  # doesn't declare the attribute's type, as in offline tests.
  validation = jsondecode(jsonencode(aws_acm_certificate.domain.domain_validation_options))[0]
}

resource "aws_route53_record" "validation" {
  zone_id = data.aws_route53_zone.domain.zone_id
  name    = local.validation.resource_record_name
  type    = local.validation.resource_record_type
  records = [local.validation.resource_record_value]
  ttl     = 300

  # Another certificate of the same name has the same record.
  allow_overwrite = true
}

# Waits until ACM has issued the certificate.
resource "aws_acm_certificate_validation" "domain" {
  certificate_arn         = aws_acm_certificate.domain.arn
  validation_record_fqdns = [aws_route53_record.validation.fqdn]
}
