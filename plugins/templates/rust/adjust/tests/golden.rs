rerate_rule::golden!(adjust {{ident}}::{{Type}});
