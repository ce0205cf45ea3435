#pragma once

/*
 * What metal/apple_gpu.mm uses of Apple's Foundation, declared as Apple declares it, so that clang checks
 * that file where there is no such framework. Nothing here is ever linked.
 */
#include <stddef.h>
#include <stdint.h>

typedef unsigned long NSUInteger;
typedef long NSInteger;
typedef double CFTimeInterval;
typedef bool BOOL;
#define YES __objc_yes
#define NO __objc_no
#define nil nullptr

@class NSString;

@protocol NSObject
@property(readonly, copy) NSString* description;
@end

__attribute__((objc_root_class))
@interface NSObject<NSObject>
+ (instancetype)new;
@end

@interface NSString : NSObject
+ (instancetype)stringWithUTF8String:(const char*)text;
- (BOOL)isEqualToString:(NSString*)other;
@property(readonly) const char* UTF8String;
@end

@interface NSArray<__covariant ObjectType> : NSObject
@property(readonly) ObjectType firstObject;
@end

@interface NSError : NSObject
@property(readonly, copy) NSString* domain;
@property(readonly) NSInteger code;
@property(readonly, copy) NSString* localizedDescription;
@end
