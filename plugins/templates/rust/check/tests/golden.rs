rerate_rule::golden!(check {{ident}}::{{Type}});
