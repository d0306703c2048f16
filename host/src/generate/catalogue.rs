//! What the generated clouds sell: services, their meters, regions, prices. Prices are near the public ones of 2025 and stand for
//! nothing; names are real so that rules by service, usage type and operation meet what they meet in real bills.

use super::decimal::Units;

/// How much of it a line uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantity {
    /// One for each hour of the line.
    Hours,
    /// Four digits times ten to a power from the range, in 10^-10: sizes and times of any magnitude.
    Spread { least: u32, most: u32 },
    /// Whole numbers up to this.
    Count(u64),
}

/// What a line's resource id looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    None,
    Instance,
    Volume,
    Bucket,
    /// An ARN of this service and resource type, or an Azure resource path below this provider.
    Path(&'static str, &'static str),
}

/// How a line behaves in rating.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    OnDemand,
    /// On demand, and the enterprise discount comes for each line.
    Discounted,
    /// The provider's private rate is a discount line (or column) of its own.
    PrivateRate,
    Spot,
    Marketplace,
    /// A copy of other lines' cost, by container: counts in no total.
    SplitCost,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Meter {
    pub(super) service: &'static str,
    pub(super) product: &'static str,
    /// FOCUS category and subcategory.
    pub(super) category: (&'static str, &'static str),
    pub(super) family: &'static str,
    pub(super) usage: &'static str,
    pub(super) operation: &'static str,
    pub(super) unit: &'static str,
    pub(super) rate: Units,
    pub(super) quantity: Quantity,
    pub(super) resource: Resource,
    pub(super) nature: Nature,
    /// How often, against the others.
    pub(super) weight: u32,
    /// What the description says after the price.
    pub(super) what: &'static str,
}

#[derive(Debug)]
pub(super) struct Region {
    pub(super) id: &'static str,
    /// Prefix of usage types.
    pub(super) prefix: &'static str,
    pub(super) name: &'static str,
    /// Percent of the first region's price.
    pub(super) price: i64,
}

/// An instance type and its hourly price, normalization factor in tenths, family.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) kind: &'static str,
    pub(super) rate: Units,
    pub(super) normalization: Units,
    pub(super) family: &'static str,
}

pub(super) const AWS_REGIONS: &[Region] = &[
    Region { id: "us-east-1", prefix: "", name: "US East (N. Virginia)", price: 100 },
    Region { id: "us-west-2", prefix: "USW2-", name: "US West (Oregon)", price: 100 },
    Region { id: "eu-west-1", prefix: "EU-", name: "EU (Ireland)", price: 111 },
    Region { id: "eu-central-1", prefix: "EUC1-", name: "EU (Frankfurt)", price: 120 },
    Region { id: "ap-southeast-2", prefix: "APS2-", name: "Asia Pacific (Sydney)", price: 125 },
    Region { id: "ca-central-1", prefix: "CAN1-", name: "Canada (Central)", price: 110 },
];

pub(super) const AZURE_REGIONS: &[Region] = &[
    Region { id: "westeurope", prefix: "", name: "West Europe", price: 118 },
    Region { id: "eastus", prefix: "", name: "East US", price: 100 },
    Region { id: "northeurope", prefix: "", name: "North Europe", price: 109 },
    Region { id: "southeastasia", prefix: "", name: "Southeast Asia", price: 121 },
];

const fn instance(kind: &'static str, rate: Units, normalization: Units, family: &'static str) -> Instance {
    Instance { kind, rate, normalization: normalization * 10_000_000_000, family }
}

pub(super) const EC2_INSTANCES: &[Instance] = &[
    instance("t3.micro", 104_000_000, 0, "General purpose"),
    instance("t3.medium", 416_000_000, 2, "General purpose"),
    instance("m5.large", 960_000_000, 4, "General purpose"),
    instance("m5.xlarge", 1_920_000_000, 8, "General purpose"),
    instance("m6i.2xlarge", 3_840_000_000, 16, "General purpose"),
    instance("m7g.large", 816_000_000, 4, "General purpose"),
    instance("c5.large", 850_000_000, 4, "Compute optimized"),
    instance("c6g.xlarge", 1_360_000_000, 8, "Compute optimized"),
    instance("r5.large", 1_260_000_000, 4, "Memory optimized"),
    instance("r6g.xlarge", 2_016_000_000, 8, "Memory optimized"),
    instance("g5.xlarge", 10_060_000_000, 8, "GPU instance"),
];

pub(super) const RDS_INSTANCES: &[Instance] = &[
    instance("db.t3.medium", 680_000_000, 2, "General purpose"),
    instance("db.m5.large", 1_710_000_000, 4, "General purpose"),
    instance("db.r5.xlarge", 4_800_000_000, 8, "Memory optimized"),
];

pub(super) const AZURE_INSTANCES: &[Instance] = &[
    instance("Standard_B2s", 416_000_000, 2, "General purpose"),
    instance("Standard_D2s_v5", 960_000_000, 2, "General purpose"),
    instance("Standard_D4s_v5", 1_920_000_000, 4, "General purpose"),
    instance("Standard_E4s_v5", 2_520_000_000, 4, "Memory optimized"),
    instance("Standard_F8s_v2", 3_380_000_000, 8, "Compute optimized"),
];

const COMPUTE: (&str, &str) = ("Compute", "Virtual Machines");
const STORAGE: (&str, &str) = ("Storage", "Object Storage");
const NETWORK: (&str, &str) = ("Networking", "Network Infrastructure");
const DATABASE: (&str, &str) = ("Databases", "Relational Databases");
const MANAGE: (&str, &str) = ("Management and Governance", "Observability");
const SECURITY: (&str, &str) = ("Security", "Security Posture Management");
const INTEGRATION: (&str, &str) = ("Integration", "Messaging");
const OTHER: (&str, &str) = ("Other", "Other (Other)");

/// A meter in two lines: where it belongs, then how it is measured and priced.
const fn meter(
    (service, product, category, family): (&'static str, &'static str, (&'static str, &'static str), &'static str),
    (usage, operation, unit, what): (&'static str, &'static str, &'static str, &'static str),
    rate: Units,
    quantity: Quantity,
    resource: Resource,
    nature: Nature,
    weight: u32,
) -> Meter {
    Meter { service, product, category, family, usage, operation, unit, rate, quantity, resource, nature, weight, what }
}

use Nature::{Discounted, Marketplace, OnDemand, PrivateRate, SplitCost, Spot};
use Quantity::{Count, Hours, Spread};
use Resource::{Bucket, Path, Volume};

const EC2: (&str, &str, (&str, &str), &str) = ("AmazonEC2", "Amazon Elastic Compute Cloud", COMPUTE, "Compute Instance");
const EBS: (&str, &str, (&str, &str), &str) = ("AmazonEC2", "Amazon Elastic Compute Cloud", ("Storage", "Block Storage"), "Storage");
const S3: (&str, &str, (&str, &str), &str) = ("AmazonS3", "Amazon Simple Storage Service", STORAGE, "Storage");
const S3_API: (&str, &str, (&str, &str), &str) = ("AmazonS3", "Amazon Simple Storage Service", STORAGE, "API Request");
const TRANSFER: (&str, &str, (&str, &str), &str) = ("AWSDataTransfer", "AWS Data Transfer", NETWORK, "Data Transfer");
const RDS: (&str, &str, (&str, &str), &str) = ("AmazonRDS", "Amazon Relational Database Service", DATABASE, "Database Instance");
const LAMBDA: (&str, &str, (&str, &str), &str) = ("AWSLambda", "AWS Lambda", ("Compute", "Serverless Compute"), "Serverless");
const DYNAMO: (&str, &str, (&str, &str), &str) =
    ("AmazonDynamoDB", "Amazon DynamoDB", ("Databases", "NoSQL Databases"), "Amazon DynamoDB PayPerRequest Throughput");
const WATCH: (&str, &str, (&str, &str), &str) = ("AmazonCloudWatch", "AmazonCloudWatch", MANAGE, "Metric");
const FRONT: (&str, &str, (&str, &str), &str) =
    ("AmazonCloudFront", "Amazon CloudFront", ("Networking", "Content Delivery"), "Data Transfer");

/// Meters of AWS that are not instances.
#[rustfmt::skip] // a table
pub(super) const AWS_METERS: &[Meter] = &[
    meter(EBS, ("EBS:VolumeUsage.gp3", "CreateVolume-Gp3", "GB-Mo", "GB-month of General Purpose (gp3) provisioned storage"), 800_000_000, Spread { least: 5, most: 7 }, Volume, OnDemand, 90),
    meter(EBS, ("EBS:SnapshotUsage", "CreateSnapshot", "GB-Mo", "GB-Month of snapshot data stored"), 500_000_000, Spread { least: 4, most: 7 }, Path("ec2", "snapshot/snap-"), OnDemand, 50),
    meter(EBS, ("NatGateway-Hours", "NatGateway", "Hrs", "NAT Gateway Hour"), 450_000_000, Hours, Path("ec2", "natgateway/nat-"), OnDemand, 12),
    meter(EBS, ("NatGateway-Bytes", "NatGateway", "GB", "GB Data Processed by NAT Gateways"), 450_000_000, Spread { least: 4, most: 8 }, Path("ec2", "natgateway/nat-"), OnDemand, 20),
    meter(S3, ("TimedStorage-ByteHrs", "StandardStorage", "GB-Mo", "GB - first 50 TB / month of storage used"), 230_000_000, Spread { least: 0, most: 8 }, Bucket, OnDemand, 80),
    meter(S3, ("TimedStorage-INT-FA-ByteHrs", "IntelligentTieringFAStorage", "GB-Mo", "GB / month of storage used in Intelligent-Tiering, FA"), 230_000_000, Spread { least: 1, most: 7 }, Bucket, OnDemand, 20),
    meter(S3_API, ("Requests-Tier1", "PutObject", "Requests", "PUT, COPY, POST, or LIST requests"), 50_000, Count(40_000), Bucket, OnDemand, 70),
    meter(S3_API, ("Requests-Tier2", "GetObject", "Requests", "GET and all other requests"), 4_000, Count(200_000), Bucket, OnDemand, 70),
    meter(TRANSFER, ("DataTransfer-Out-Bytes", "RunInstances", "GB", "GB - first 10 TB / month data transfer out beyond the global free tier"), 900_000_000, Spread { least: 1, most: 7 }, Resource::Instance, OnDemand, 60),
    meter(TRANSFER, ("DataTransfer-Regional-Bytes", "InterZone-In", "GB", "GB - regional data transfer - in/out/between AZs"), 100_000_000, Spread { least: 0, most: 6 }, Resource::Instance, OnDemand, 80),
    meter(TRANSFER, ("AWS-Out-Bytes", "LoadBalancing-PublicIP-Out", "GB", "GB data transfer to another region"), 200_000_000, Spread { least: 0, most: 5 }, Path("elasticloadbalancing", "loadbalancer/app/"), OnDemand, 50),
    meter(("AWSELB", "Elastic Load Balancing", NETWORK, "Load Balancer-Application"), ("LoadBalancerUsage", "LoadBalancing:Application", "Hrs", "Application LoadBalancer-hour (or partial hour)"), 225_000_000, Hours, Path("elasticloadbalancing", "loadbalancer/app/"), OnDemand, 25),
    meter(("AWSELB", "Elastic Load Balancing", NETWORK, "Load Balancer-Application"), ("LCUUsage", "LoadBalancing:Application", "LCU-Hrs", "used Application load balancer capacity unit-hour (or partial hour)"), 80_000_000, Spread { least: 2, most: 6 }, Path("elasticloadbalancing", "loadbalancer/app/"), OnDemand, 25),
    meter(("AmazonVPC", "Amazon Virtual Private Cloud", NETWORK, "VPC"), ("PublicIPv4:InUseAddress", "AssociateAddressVPC", "Hrs", "In-use public IPv4 address per hour"), 50_000_000, Hours, Path("ec2", "network-interface/eni-"), OnDemand, 50),
    meter(RDS, ("RDS:GP3-Storage", "CreateDBInstance:0021", "GB-Mo", "GB-month of provisioned gp3 storage running PostgreSQL"), 1_150_000_000, Spread { least: 5, most: 7 }, Path("rds", "db:"), OnDemand, 25),
    meter(RDS, ("RDS:ChargedBackupUsage", "CreateDBInstance:0021", "GB-Mo", "additional GB-month of backup storage exceeding free allocation"), 950_000_000, Spread { least: 3, most: 6 }, Path("rds", "db:"), OnDemand, 20),
    meter(("AmazonElastiCache", "Amazon ElastiCache", ("Databases", "Caching"), "Cache Instance"), ("NodeUsage:cache.m6g.large", "CreateCacheCluster:0002", "Hrs", "M6g.Large Redis node-hour (or partial hour)"), 1_490_000_000, Hours, Path("elasticache", "cluster:"), Discounted, 12),
    meter(("AmazonRedshift", "Amazon Redshift", ("Analytics", "Data Warehouses"), "Compute Instance"), ("Node:ra3.xlplus", "RunComputeNode:0001", "Hrs", "Redshift ra3.xlplus Compute Node-hour (or partial hour)"), 10_860_000_000, Hours, Path("redshift", "cluster:"), Discounted, 3),
    meter(LAMBDA, ("Request", "Invoke", "Requests", "AWS Lambda - Total Requests"), 2_000, Count(50_000), Path("lambda", "function:"), OnDemand, 60),
    meter(LAMBDA, ("Lambda-GB-Second", "Invoke", "Lambda-GB-Second", "AWS Lambda - Total Compute"), 166_667, Spread { least: 4, most: 9 }, Path("lambda", "function:"), OnDemand, 60),
    meter(DYNAMO, ("ReadRequestUnits", "PayPerRequestThroughput", "ReadRequestUnits", "million read request units"), 2_500, Count(500_000), Path("dynamodb", "table/"), OnDemand, 30),
    meter(DYNAMO, ("WriteRequestUnits", "PayPerRequestThroughput", "WriteRequestUnits", "million write request units"), 12_500, Count(200_000), Path("dynamodb", "table/"), OnDemand, 30),
    meter(WATCH, ("CW:MetricMonitorUsage", "MetricStorage:AWS/EC2", "Metrics", "metric-month for the first 10,000 metrics"), 3_000_000_000, Spread { least: 3, most: 6 }, Resource::None, OnDemand, 25),
    meter(WATCH, ("DataProcessing-Bytes", "PutLogEvents", "GB", "GB custom log data ingested in Standard log class"), 5_000_000_000, Spread { least: 1, most: 6 }, Path("logs", "log-group:"), OnDemand, 40),
    meter(WATCH, ("CW:Requests", "GetMetricData", "Requests", "1000 requests"), 100_000, Count(3_000), Resource::None, OnDemand, 25),
    meter(FRONT, ("DataTransfer-Out-Bytes", "GET", "GB", "GB first 10 TB / month data transfer out"), 850_000_000, Spread { least: 3, most: 8 }, Path("cloudfront", "distribution/"), PrivateRate, 16),
    meter(FRONT, ("Requests-Tier2-HTTPS", "GET", "Requests", "10,000 HTTPS Requests"), 10_000, Count(90_000), Path("cloudfront", "distribution/"), OnDemand, 25),
    meter(("AmazonSNS", "Amazon Simple Notification Service", INTEGRATION, "API Request"), ("Requests-Tier1", "Publish", "Requests", "Amazon SNS Requests"), 5_000, Count(9_000), Path("sns", ""), OnDemand, 20),
    meter(("AWSQueueService", "Amazon Simple Queue Service", INTEGRATION, "API Request"), ("Requests-RBP", "SendMessage", "Requests", "Amazon SQS standard requests in Tier1"), 4_000, Count(60_000), Path("sqs", ""), OnDemand, 35),
    meter(("awskms", "AWS Key Management Service", SECURITY, "Encryption Key"), ("KMS-Requests", "Decrypt", "Requests", "KMS requests"), 30_000, Count(8_000), Path("kms", "key/"), OnDemand, 30),
    meter(("AWSSecretsManager", "AWS Secrets Manager", SECURITY, "Secret"), ("AWSSecretsManager-Secrets", "None", "Secrets", "Secret"), 4_000_000_000, Spread { least: 4, most: 5 }, Path("secretsmanager", "secret:"), OnDemand, 15),
    meter(("AWSCloudTrail", "AWS CloudTrail", MANAGE, "Management Tools - AWS CloudTrail Free Events Recorded"), ("FreeEventsRecorded", "None", "Events", "free event recorded"), 0, Count(500), Resource::None, OnDemand, 40),
    meter(("AWSGlue", "AWS Glue", ("Analytics", "Data Processing"), "AWS Glue"), ("ETL-DPU-Hour", "Jobrun", "DPU-Hour", "Data Processing Unit-Hour for AWS Glue ETL job"), 4_400_000_000, Spread { least: 3, most: 6 }, Path("glue", "job/"), OnDemand, 10),
    meter(("AmazonEKS", "Amazon Elastic Kubernetes Service", ("Compute", "Containers"), "Compute"), ("AmazonEKS-Hours:perCluster", "CreateOperation", "Hours", "Amazon EKS cluster usage"), 1_000_000_000, Hours, Path("eks", "cluster/"), OnDemand, 8),
    meter(EC2, ("EKS-EC2-vCPU-Hours", "EKSPod-EC2", "vCPU-Hours", "split cost allocation by pod"), 0, Spread { least: 4, most: 6 }, Path("eks", "pod/prod/"), SplitCost, 45),
    meter(("9w1h3kd0pqy7u2bz5x8mcv4ta", "Lumenstack Observability", OTHER, "Software"), ("SoftwareUsage:hosts", "Hourly", "Units", "Lumenstack host monitored"), 1_300_000_000, Hours, Resource::None, Marketplace, 10),
    meter(("5t6hq0mrzx2v9ck3wy8b1ndj7", "Perimeter Shield WAF Rules", OTHER, "Software"), ("MP:requests", "Usage", "Units", "million requests inspected"), 6_000_000_000, Spread { least: 3, most: 6 }, Resource::None, Marketplace, 6),
];

const BLOB: (&str, &str, (&str, &str), &str) = ("Azure Blob Storage", "Azure Blob Storage", STORAGE, "Storage");
const SQL: (&str, &str, (&str, &str), &str) = ("Azure SQL Database", "Azure SQL Database", DATABASE, "Database");
const MONITOR: (&str, &str, (&str, &str), &str) = ("Azure Monitor", "Azure Monitor", MANAGE, "Monitoring");

/// Meters of Azure that are not instances.
#[rustfmt::skip] // a table
pub(super) const AZURE_METERS: &[Meter] = &[
    meter(BLOB, ("Hot LRS Data Stored", "", "GB-Months", "Hot LRS data stored"), 184_000_000, Spread { least: 3, most: 8 }, Path("Microsoft.Storage", "storageAccounts/st"), OnDemand, 80),
    meter(BLOB, ("Hot Write Operations", "", "10K Operations", "Hot LRS write operations"), 550_000_000, Spread { least: 1, most: 6 }, Path("Microsoft.Storage", "storageAccounts/st"), OnDemand, 60),
    meter(("Managed Disks", "Managed Disks", ("Storage", "Block Storage"), "Storage"), ("P10 LRS Disk", "", "Disk-Months", "Premium SSD managed disk P10"), 197_100_000_000, Spread { least: 4, most: 5 }, Path("Microsoft.Compute", "disks/disk-"), OnDemand, 60),
    meter(SQL, ("vCore", "", "Hours", "General Purpose vCore"), 2_520_000_000, Hours, Path("Microsoft.Sql", "servers/sql/databases/db-"), Discounted, 30),
    meter(SQL, ("General Purpose Data Stored", "", "GB-Months", "General Purpose data stored"), 1_150_000_000, Spread { least: 4, most: 7 }, Path("Microsoft.Sql", "servers/sql/databases/db-"), OnDemand, 25),
    meter(("Azure Kubernetes Service", "Azure Kubernetes Service", ("Compute", "Containers"), "Compute"), ("Standard Uptime SLA", "", "Hours", "AKS cluster uptime SLA"), 1_000_000_000, Hours, Path("Microsoft.ContainerService", "managedClusters/aks-"), OnDemand, 10),
    meter(("Azure Functions", "Azure Functions", ("Compute", "Serverless Compute"), "Compute"), ("Standard Execution Time", "", "GB-Seconds", "Function execution duration"), 160_000, Spread { least: 4, most: 9 }, Path("Microsoft.Web", "sites/func-"), OnDemand, 50),
    meter(MONITOR, ("Analytics Logs Data Ingestion", "", "GB", "Log data ingested"), 23_000_000_000, Spread { least: 2, most: 6 }, Path("Microsoft.OperationalInsights", "workspaces/law-"), OnDemand, 40),
    meter(("Bandwidth", "Bandwidth", NETWORK, "Networking"), ("Standard Data Transfer Out", "", "GB", "Standard data transfer out"), 870_000_000, Spread { least: 1, most: 7 }, Path("Microsoft.Compute", "virtualMachines/vm-"), OnDemand, 70),
    meter(("Load Balancer", "Load Balancer", NETWORK, "Networking"), ("Standard Included LB Rules", "", "Hours", "Standard load balancer rules"), 250_000_000, Hours, Path("Microsoft.Network", "loadBalancers/lb-"), OnDemand, 20),
    meter(("Key Vault", "Key Vault", SECURITY, "Security"), ("Operations", "", "10K Operations", "Key Vault operations"), 300_000_000, Spread { least: 1, most: 5 }, Path("Microsoft.KeyVault", "vaults/kv-"), OnDemand, 30),
    meter(("Lumenstack Observability", "Lumenstack Observability", OTHER, "Software"), ("Host", "", "Units", "Lumenstack host monitored"), 1_300_000_000, Hours, Path("Microsoft.SaaS", "resources/lumenstack-"), Marketplace, 10),
];

/// What is bought rather than used; no resource runs on these. The order is that of [`Fees`].
#[rustfmt::skip] // a table
pub(super) const AWS_FEES: [Meter; 4] = [
    meter(("ComputeSavingsPlans", "Savings Plans for AWS Compute usage", COMPUTE, "ComputeSavingsPlans"), ("ComputeSP:1yr", "", "Hrs", "1 year Compute Savings Plan"), 0, Hours, Resource::None, OnDemand, 0),
    meter(("AWSSupportBusiness", "AWS Support (Business)", OTHER, "Support"), ("Dollar", "", "Dollar", "10% of monthly AWS usage for the first $10K"), 0, Hours, Resource::None, OnDemand, 0),
    meter(("AmazonRegistrar", "Amazon Registrar", NETWORK, "Fee"), ("Global-Renewal", "RenewDomain", "Quantity", "domain renewal"), 0, Hours, Resource::None, OnDemand, 0),
    meter(FRONT, ("Flat-Rate-Business", "", "Plans", "CloudFront flat-rate business plan"), 2_000_000_000_000, Count(1), Resource::None, OnDemand, 0),
];

/// As [`AWS_FEES`].
#[rustfmt::skip] // a table
pub(super) const AZURE_FEES: [Meter; 4] = [
    meter(("Virtual Machines", "Virtual Machines", COMPUTE, "Commitment"), ("Compute Savings Plan", "", "Hours", "Savings plan commitment purchase (1 year)"), 0, Hours, Resource::None, OnDemand, 0),
    meter(("Azure Support", "Azure Support", OTHER, "Support"), ("Standard Support", "", "Months", "Azure support plan, standard"), 0, Hours, Resource::None, OnDemand, 0),
    meter(("App Service Domain", "App Service Domain", NETWORK, "Fee"), ("Domain", "", "Units", "domain registration"), 0, Hours, Resource::None, OnDemand, 0),
    meter(("Azure Front Door Service", "Azure Front Door", ("Networking", "Content Delivery"), "Networking"), ("Standard Base Fees", "", "Months", "Front Door standard base fee"), 0, Hours, Resource::None, OnDemand, 0),
];

/// Positions of the fees among a fleet's SKUs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fees {
    pub(super) savings_plan: usize,
    pub(super) support: usize,
    pub(super) domain: usize,
    pub(super) flat_rate: usize,
}

/// A meter for each instance type: on demand (at `weight` in a thousand), then spot.
pub(super) fn instances_as_meters(aws: bool) -> Vec<(Meter, &'static Instance)> {
    let mut meters = Vec::new();
    let (list, base) = if aws {
        let what = "On Demand Linux";
        (EC2_INSTANCES, meter(EC2, ("BoxUsage:", "RunInstances", "Hrs", what), 0, Hours, Resource::Instance, Discounted, 14))
    } else {
        let family = ("Virtual Machines", "Virtual Machines", COMPUTE, "Compute");
        let path = Path("Microsoft.Compute", "virtualMachines/vm-");
        (AZURE_INSTANCES, meter(family, ("", "", "Hours", "instance"), 0, Hours, path, Discounted, 20))
    };
    for instance in list {
        meters.push((base, instance));
        let spot = Meter { nature: Spot, weight: 4, usage: if aws { "SpotUsage:" } else { "Spot " }, what: "Spot instance", ..base };
        meters.push((Meter { operation: if aws { "RunInstances:SV001" } else { "" }, ..spot }, instance));
    }
    if aws {
        let resource = Path("rds", "db:");
        let base =
            meter(RDS, ("InstanceUsage:", "CreateDBInstance:0014", "Hrs", "RDS Single-AZ PostgreSQL"), 0, Hours, resource, Discounted, 10);
        meters.extend(RDS_INSTANCES.iter().map(|instance| (base, instance)));
    }
    meters
}
