//! Owns the `Module` derive macro: it writes the walk over a struct's or enum's fields.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};
use syn::{
    Data, DeriveInput, Error, Field, Fields, GenericParam, Generics, LitStr, Result, Type,
    parse_macro_input, parse_quote,
};

/// Implements `Module` by visiting every field: parameters, modules, and `Vec`s, arrays, `Option`s
/// and `Box`es of them. Numbers, strings and the like hold no parameters and are passed over.
///
/// - `#[module(skip)]` passes over a field of any type.
/// - `#[module(rename = "name")]` gives a field another name in parameter names.
/// - `#[module(flatten)]` leaves a field's name out of parameter names.
///
/// The variants of an enum contribute their fields; one unnamed field adds no name of its own.
#[proc_macro_derive(Module, attributes(module))]
pub fn derive_module(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expand(parse_macro_input!(input), &quote!(::olivine_nn))
}

/// `Module` for programs that depend on the facade, whose path differs.
#[doc(hidden)]
#[proc_macro_derive(FacadeModule, attributes(module))]
pub fn derive_facade_module(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expand(parse_macro_input!(input), &quote!(::olivine::nn))
}

fn expand(input: DeriveInput, root: &TokenStream) -> proc_macro::TokenStream {
    implementation(&input, root)
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

/// A field that is visited.
struct Visited<'a> {
    /// How a pattern binds it.
    member: syn::Member,
    /// What it is bound to.
    binding: Ident,
    /// Its part of parameter names; `None` adds no part.
    name: Option<String>,
    ty: &'a Type,
}

fn implementation(input: &DeriveInput, root: &TokenStream) -> Result<TokenStream> {
    let name = &input.ident;
    let mut types = Vec::new();
    let mut arms = Vec::new();
    match &input.data {
        Data::Struct(data) => {
            arms.push((quote!(#name), visited(&data.fields, false)?));
        }
        Data::Enum(data) => {
            for variant in &data.variants {
                let ident = &variant.ident;
                arms.push((quote!(#name::#ident), visited(&variant.fields, true)?));
            }
        }
        Data::Union(_) => {
            let reason = "Module cannot be derived for unions: which field holds is not known";
            return Err(Error::new_spanned(name, reason));
        }
    }
    for (_, fields) in &arms {
        types.extend(fields.iter().map(|field| field.ty));
    }
    let arm = |call: &dyn Fn(&Ident, TokenStream) -> TokenStream| -> TokenStream {
        arms.iter()
            .map(|(path, fields)| {
                let members = fields.iter().map(|field| &field.member);
                let bindings = fields.iter().map(|field| &field.binding);
                let calls = fields.iter().map(|field| {
                    let prefix = if let Some(name) = &field.name {
                        quote!(&#root::module::join(prefix, #name))
                    } else {
                        quote!(prefix)
                    };
                    call(&field.binding, prefix)
                });
                quote!(#path { #(#members: #bindings,)* .. } => { #(#calls)* })
            })
            .collect()
    };
    let visit = arm(&|field, prefix| quote!(#root::ModuleField::visit(#field, #prefix, visitor);));
    let visit_mut =
        arm(&|field, prefix| quote!(#root::ModuleField::visit_mut(#field, #prefix, visitor);));
    let training = arm(&|field, _| quote!(#root::ModuleField::set_training(#field, training);));

    let generics = with_bounds(input.generics.clone(), &types, root);
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    // An enum without variants can only be matched by value.
    let this = if arms.is_empty() {
        quote!(*self)
    } else {
        quote!(self)
    };
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics #root::Module for #name #ty_generics #where_clause {
            fn visit(&self, prefix: &str, visitor: &mut dyn FnMut(&str, &#root::Param)) {
                let _ = (prefix, &visitor);
                match #this { #visit }
            }
            fn visit_mut(
                &mut self,
                prefix: &str,
                visitor: &mut dyn FnMut(&str, &mut #root::Param),
            ) {
                let _ = (prefix, &visitor);
                match #this { #visit_mut }
            }
            fn set_training(&mut self, training: bool) {
                let _ = training;
                match #this { #training }
            }
        }
    })
}

/// The fields that are not skipped.
fn visited(fields: &Fields, transparent: bool) -> Result<Vec<Visited<'_>>> {
    let transparent =
        transparent && matches!(fields, Fields::Unnamed(list) if list.unnamed.len() == 1);
    let mut list = Vec::new();
    for (i, field) in fields.iter().enumerate() {
        let options = Options::of(field)?;
        if options.skip {
            continue;
        }
        let member = match &field.ident {
            Some(ident) => syn::Member::Named(ident.clone()),
            None => syn::Member::Unnamed(syn::Index {
                index: i as u32,
                span: Span::call_site(),
            }),
        };
        let name = match (options.rename, &field.ident) {
            _ if options.flatten => None,
            (Some(name), _) => Some(name),
            (None, Some(ident)) => Some(ident.to_string().trim_start_matches("r#").to_owned()),
            (None, None) if transparent => None,
            (None, None) => Some(i.to_string()),
        };
        list.push(Visited {
            member,
            binding: format_ident!("field_{i}"),
            name,
            ty: &field.ty,
        });
    }
    Ok(list)
}

/// What `#[module(…)]` says of a field.
#[derive(Default)]
struct Options {
    skip: bool,
    flatten: bool,
    rename: Option<String>,
}

impl Options {
    fn of(field: &Field) -> Result<Options> {
        let mut options = Options::default();
        for attribute in field.attrs.iter().filter(|a| a.path().is_ident("module")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("skip") {
                    options.skip = true;
                    Ok(())
                } else if meta.path.is_ident("flatten") {
                    options.flatten = true;
                    Ok(())
                } else if meta.path.is_ident("rename") {
                    options.rename = Some(meta.value()?.parse::<LitStr>()?.value());
                    Ok(())
                } else {
                    Err(meta.error("expected `skip`, `flatten` or `rename = \"name\"`"))
                }
            })?;
        }
        Ok(options)
    }
}

/// Asks that the types of fields that mention a type parameter can be visited.
fn with_bounds(mut generics: Generics, types: &[&Type], root: &TokenStream) -> Generics {
    let parameters: Vec<Ident> = generics
        .params
        .iter()
        .filter_map(|parameter| match parameter {
            GenericParam::Type(parameter) => Some(parameter.ident.clone()),
            GenericParam::Lifetime(_) | GenericParam::Const(_) => None,
        })
        .collect();
    let generic = types.iter().filter(|ty| mentions(quote!(#ty), &parameters));
    let predicates: Vec<syn::WherePredicate> = generic
        .map(|ty| parse_quote!(#ty: #root::ModuleField))
        .collect();
    if !predicates.is_empty() {
        generics.make_where_clause().predicates.extend(predicates);
    }
    generics
}

fn mentions(tokens: TokenStream, names: &[Ident]) -> bool {
    tokens.into_iter().any(|token| match token {
        proc_macro2::TokenTree::Ident(ident) => names.contains(&ident),
        proc_macro2::TokenTree::Group(group) => mentions(group.stream(), names),
        proc_macro2::TokenTree::Punct(_) | proc_macro2::TokenTree::Literal(_) => false,
    })
}
