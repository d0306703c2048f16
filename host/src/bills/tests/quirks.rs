//! What exports write that their specification has not: read, and counted.

use super::*;

/// The quirks of a bill by name, and its rows.
fn quirks_and_rows(text: &str) -> (BTreeMap<String, u64>, Vec<BTreeMap<String, String>>) {
    let (report, batches) = import_bytes("bill.csv", text.as_bytes(), WHOLE).unwrap();
    (report.quirks.into_iter().map(|quirk| (quirk.what, quirk.count)).collect(), rows(&batches))
}

#[test]
fn focus_with_null_words_wrong_case_and_bare_dates_is_read_and_each_is_counted() {
    let text = "\u{feff}BillingPeriodStart,ChargePeriodStart,ChargePeriodEnd,ChargeCategory,ChargeFrequency,ChargeClass,BilledCost,EffectiveCost,\
                ListCost,BillingAccountId,SubAccountId,ProviderName,PublisherName,CommitmentDiscountId,Id,InvoiceId\r\n\
                2024-09-01 00:00:00,4/1/25,4/2/25,usage,Usage-based,NULL,\"$50,000.00 \",NULL,0,0123456789012,null,NULL,Acme,\
                arn:aws:savingsplans::111122223333:savingsplan/x,7,-2\r\n\
                \r\n\
                2024-09-01 00:00:00,4/1/25,4/1/25,Usage,Usage-Based,,,0,,0123456789012,Unassigned,AWS,AWS,,8,\r\n";
    let (quirks, rows) = quirks_and_rows(text);
    assert_eq!(rows.len(), 2);
    let first = &rows[0];
    assert_eq!(first["BilledCost"], "50000");
    assert_eq!((first.get("EffectiveCost"), first["ListCost"].as_str()), (None, "0"));
    assert_eq!((rows[1].get("BilledCost"), rows[1]["EffectiveCost"].as_str(), rows[1].get("ListCost")), (None, "0", None));
    assert_eq!((first["ChargeCategory"].as_str(), first["ChargeFrequency"].as_str()), ("Usage", "Usage-Based"));
    assert_eq!(first["BillingAccountId"], "0123456789012");
    assert_eq!((first.get("SubAccountId"), rows[1].get("SubAccountId")), (None, None));
    assert_eq!(first.get("InvoiceId"), None);
    assert_eq!(first["ServiceProviderName"], "Acme");
    assert_eq!(first["x_CommitmentOwnerAccountId"], "111122223333");
    assert_eq!(first["x_Native.Id"], "7");
    assert_eq!(first["BillingCurrency"], "XXX");
    assert_eq!(first["BillingPeriodStart"], "2024-09-01T00:00:00Z");
    assert_eq!(first["ChargePeriodEnd"], "2025-04-02T00:00:00Z");
    let expected = [
        ("a placeholder for null in an id", 2),
        ("a value of a closed set in another writing", 2),
        ("a word for null in a number column", 1),
        ("a word for null in a text column", 2),
        ("amount with currency sign, thousands separators or blanks", 1),
    ];
    assert_eq!(quirks, expected.map(|(what, count)| (what.to_owned(), count)).into());
}

#[test]
fn azure_with_localised_headers_and_bare_tags_is_read() {
    let text = "BillingAccountId,SubscriptionId,date,MeterId,Ressourcengruppe (ResourceGroup),Quantity,CostInBillingCurrency,BillingCurrency,\
                PayGPrice,ChargeType,PricingModel,Frequency,ReservationId,Tags,BillingPeriodStartDate,BillingPeriodEndDate\n\
                1,s,09/21/2023,m,rg,0.0004,0.0000000000000000014,EUR,0.1,Usage,OnDemand,UsageBased,,\"\"\"env\"\": \"\"prod\"\"\",9/1/2023,9/30/2023\n\
                1,s,09/22/2023,m,rg,1,2,EUR,0,Usage,Reservation,UsageBased,r-1,{},9/1/2023,9/30/2023\n";
    let (report, batches) = import_bytes("bill.csv", text.as_bytes(), WHOLE).unwrap();
    let rows = rows(&batches);
    assert_eq!(rows[0]["Tags"], "{\"env\": \"prod\"}");
    assert_eq!(rows[0]["ListCost"], "0.00004");
    assert_eq!(rows[1].get("ListCost"), None, "a list price of zero is a missing one");
    assert_eq!((rows[1]["CommitmentDiscountId"].as_str(), rows[1]["CommitmentDiscountStatus"].as_str()), ("r-1", "Used"));
    assert_eq!(rows[1]["PricingCategory"], "Committed");
    assert_eq!(rows[0]["x_SourceLineType"], "Usage/OnDemand");
    assert_eq!(rows[0]["x_Native.Ressourcengruppe (ResourceGroup)"], "rg");
    assert_eq!(
        (rows[0]["BillingPeriodEnd"].as_str(), rows[0]["ChargePeriodEnd"].as_str()),
        ("2023-10-01T00:00:00Z", "2023-09-22T00:00:00Z")
    );
    assert_eq!(rows[0]["BilledCost"], "0.000000000000000001");
    let rounded = &report.rounded[0];
    assert_eq!(
        (rounded.column.as_str(), rounded.values, rounded.difference.as_str()),
        ("CostInBillingCurrency", 1, "0.0000000000000000004")
    );
}

#[test]
fn google_credits_are_part_of_the_net_cost_and_the_gross_cost_stays_where_they_change_it() {
    let text = "billing_account_id,service.description,sku.id,usage_start_time,cost,currency,credits,invoice.month,cost_type,labels\n\
                A,Compute,s,2026-09-01T00:00:00,1.5,USD,\"[{\"\"name\"\":\"\"SUD\"\",\"\"amount\"\":-0.1},{\"\"amount\"\":-2E-1}]\",202609,regular,\"[{\"\"key\"\":\"\"env\"\",\"\"value\"\":\"\"prod\"\"}]\"\n\
                A,Compute,s,2026-09-01T00:00:00,2,USD,[],202609,tax,[]\n";
    let (_, rows) = quirks_and_rows(text);
    assert_eq!((rows[0]["BilledCost"].as_str(), rows[0]["x_Native.cost"].as_str()), ("1.2", "1.5"));
    assert_eq!((rows[1]["BilledCost"].as_str(), rows[1].get("x_Native.cost")), ("2", None));
    assert_eq!(rows[0]["Tags"], "{\"env\":\"prod\"}");
    assert_eq!((rows[1]["ChargeCategory"].as_str(), rows[1].get("Tags")), ("Tax", None));
    assert_eq!(rows[0]["BillingPeriodStart"], "2026-09-01T00:00:00Z");
}

#[test]
fn a_cost_cell_is_a_native_column_exactly_where_no_canonical_amount_carries_it() {
    let split =
        cur2_text().replacen("EKS-EC2-vCPU-Hours,EKSPod-EC2,,,0.5,USD,,0.0,,", "EKS-EC2-vCPU-Hours,EKSPod-EC2,,,0.5,USD,,1.25,,", 1);
    assert_ne!(split, cur2_text());
    let net = split.replacen(",USD,0.0960000000,2.304,,", ",USD,0.0960000000,2.304,2.1,", 1);
    let (report, batches) = import_bytes("bill.csv", net.as_bytes(), WHOLE).unwrap();
    let rows = rows(&batches);
    assert_eq!((report.split_cost.rows, report.split_cost.amount.to_string().as_str()), (1, "1.25"));
    let copy = rows.iter().find(|row| row.get("x_Operation").is_some_and(|operation| operation == "EKSPod-EC2")).unwrap();
    assert_eq!((copy["BilledCost"].as_str(), copy["x_Native.line_item_unblended_cost"].as_str()), ("0", "1.25"));
    assert_eq!((rows[0]["BilledCost"].as_str(), rows[0]["x_Native.line_item_unblended_cost"].as_str()), ("2.1", "2.304"));
    assert_eq!(rows[1].get("x_Native.line_item_unblended_cost"), None);
    assert_eq!(rows[1]["BilledCost"], "0.0000000007");
    assert_eq!(rows.iter().filter(|row| row.contains_key("x_Native.line_item_unblended_cost")).count(), 2);
}
