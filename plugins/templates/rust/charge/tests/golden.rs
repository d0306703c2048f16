rerate_rule::golden!(charge {{ident}}::{{Type}});
